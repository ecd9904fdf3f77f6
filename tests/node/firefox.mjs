// Open the pages in Firefox and play: node firefox.mjs ORIGIN FIREFOX PAGE…
// Prints what it complains of, one line each.
import { spawn } from "node:child_process";
import puppeteer from "puppeteer-core";

const [origin, executablePath, ...pages] = process.argv.slice(2);
const host = new URL(origin).host;
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
});
// Firefox, in a group of its own, would outlive this process were it killed.
const group = browser.process().pid;
const watch = spawn("sh", ["-c", `cat; kill -s KILL -- -${group}`], {
  detached: true,
  stdio: ["pipe", "ignore", "ignore"],
});
watch.unref();
watch.stdin.unref();
const page = await browser.newPage();
let shown = "";
page.on("pageerror", (error) => console.log(`${shown}: ${error.message}`));
page.on("console", (message) => {
  if (["error", "warn"].includes(message.type()))
    console.log(`${shown}: console: ${message.text()}`);
});
page.on("request", (request) => {
  const url = new URL(request.url());
  if (url.protocol.startsWith("http") && url.host !== host)
    console.log(`${shown}: asks ${url}`);
});
page.on("response", (response) => {
  if (response.status() >= 400)
    console.log(`${shown}: ${response.status()} ${response.url()}`);
});

for (shown of pages) {
  await page.goto(`${origin}/${shown}.html`, { waitUntil: "load" });
  const title = await page.$eval("article h1", (h1) => h1.textContent.trim());
  if (!title) console.log(`${shown}: no title`);
}

const read = (id) =>
  page.$eval(`#play-${id}`, (element) => element.textContent);
await page.goto(`${origin}/book/playground.html`, { waitUntil: "load" });
await page.click("#play-play");
await page.waitForFunction(
  () => parseInt(document.querySelector("#play-epoch").textContent.slice(6)) > 9,
);
await page.click("#play-play");
const stopped = await read("epoch");
if ((await read("play")) !== "Play") console.log("it does not pause");
await page.click("#play-step");
if ((await read("epoch")) === stopped) console.log("it does not step");
if (!(await read("status")).includes("of fresh ones"))
  console.log(`it says ${await read("status")}`);
await browser.close();
