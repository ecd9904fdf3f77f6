// What the pages do beyond being read: the theme, the search, the place in
// the contents, copying. paint and system are in the page's head.
"use strict";

document.querySelector(".theme-button").addEventListener("click", () => {
  const modes = system.matches
    ? ["auto", "light", "dark"]
    : ["auto", "dark", "light"];
  const now = modes.indexOf(document.documentElement.dataset.mode);
  localStorage.setItem("mode", modes[(now + 1) % 3]);
  paint();
});

// The search page's own field, elsewhere one that opens.
function openSearch() {
  const field = document.querySelector("main input[type=search]");
  if (field) field.select();
  else document.getElementById("search").showModal();
}
document
  .querySelector(".search-button")
  .addEventListener("click", openSearch);

const mac = navigator.platform.startsWith("Mac");
addEventListener("keydown", event => {
  if (event.key === "k" && (mac ? event.metaKey : event.ctrlKey)) {
    event.preventDefault();
    openSearch();
  }
});
if (mac)
  document.querySelector("kbd").textContent = "⌘";

// The section being read is the last that reaches into a band near the top.
const contents = document.getElementById("contents");
if (contents) {
  const links = new Map();
  for (const link of contents.querySelectorAll("ul ul a")) {
    const place = document.getElementById(link.hash.slice(1));
    links.set(place.closest("section, dl"), link);
  }
  const band = new IntersectionObserver(changes => {
    for (const { target, isIntersecting } of changes)
      links.get(target).classList.toggle("seen", isIntersecting);
    const here = contents.querySelectorAll(".seen");
    contents.querySelector("[aria-current]")?.removeAttribute("aria-current");
    if (!here.length) return;
    const link = here[here.length - 1];
    link.setAttribute("aria-current", "true");
    contents.scrollTop = link.offsetTop - contents.clientHeight / 2;
  }, { rootMargin: "-20% 0px -79% 0px" });
  for (const section of links.keys()) band.observe(section);
  contents.addEventListener("click", ({ target }) => {
    if (target.closest("a") && contents.matches(":popover-open"))
      contents.hidePopover();
  });
}

// What scrolls sideways can be reached by keyboard. An observer looks when
// the page is laid out, and forces no layout.
const wide = new ResizeObserver(entries => {
  for (const { target } of entries)
    target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
});
for (const box of document.querySelectorAll(
  ".wide, .output.text_html, .math-block"))
  wide.observe(box);

// Code that a reader might take along; plain http gives no clipboard.
for (const code of document.querySelectorAll(
  "div.cell_input pre, div.highlight-bash pre")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  const say = (name, icon) => {
    button.title = name;
    button.innerHTML = `<i class="icon-${icon}"></i>`;
  };
  say("Copy", "copy");
  button.className = "btn copy-button";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent.trimEnd());
    say("Copied", "check");
    setTimeout(say, 2000, "Copy", "copy");
  });
  code.after(button);
}

requestAnimationFrame(() =>
  document
    .querySelector("#menu .current > a")
    ?.scrollIntoView({ block: "nearest" }));
