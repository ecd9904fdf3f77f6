"""Save a still of the playground for browsers without scripts.

It opens the built page (make book), trains for a hundred epochs and writes
the plane, with the colours of day, to book/assets/playground/still.svg.
"""

import sys
from pathlib import Path

import chromium
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
STILL = ROOT / "book" / "assets" / "playground" / "still.svg"
PAGE = ROOT / "_build" / "html" / "book" / "playground.html"
# A picture knows nothing of the page's styles: each part takes its own along.
SAVE = """() => {
  const kept = ["fill", "stroke", "stroke-width", "stroke-dasharray",
    "stroke-linecap", "stroke-linejoin", "opacity", "paint-order",
    "stop-color"];
  const plain = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const plane = document.getElementById("play-plane");
  const still = plane.cloneNode(true);
  plane.append(plain);
  const usual = { ...Object.fromEntries(kept.map(
    (name) => [name, getComputedStyle(plain)[name]])), fill: "" };
  const kinds = "rect, path, text, stop, circle";
  const parts = plane.querySelectorAll(kinds);
  still.querySelectorAll(kinds).forEach((part, i) => {
    const style = getComputedStyle(parts[i]);
    for (const name of kept)
      if (style[name] !== usual[name] && !part.getAttribute(name))
        part.setAttribute(name, style[name]);
    part.removeAttribute("class");
    part.removeAttribute("style");
    if (style.visibility === "hidden" || !part.matches("stop, rect") &&
        parts[i].matches(".yours, .handle")) part.remove();
    if (part.tagName === "text") part.setAttribute("font-size", 16);
    part.removeAttribute("id");
  });
  still.querySelectorAll("title, desc").forEach((part) => part.remove());
  for (const name of ["id", "class", "role", "aria-labelledby"])
    still.removeAttribute(name);
  still.setAttribute("font-family", "Arial, sans-serif");
  still.setAttribute("font-weight", 600);
  plain.remove();
  return new XMLSerializer().serializeToString(still);
}"""


def picture(browser: Browser, address: str) -> str:
    """Return the still, as SVG, of the page at the address."""
    page = browser.new_page(color_scheme="light")
    page.goto(f"{address}#epoch=100")
    svg = page.evaluate(SAVE)
    page.close()
    ground = '<rect width="700" height="350" fill="#fff"/>'
    return svg.replace("<defs>", f"{ground}\n<defs>") + "\n"


def main() -> None:
    path = chromium.find()
    if path is None:
        sys.exit(chromium.MISSING)
    if not PAGE.is_file():
        sys.exit(f"no {PAGE.relative_to(ROOT)}: run make book")
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright, path)
        STILL.write_text(picture(browser, PAGE.as_uri()), "utf-8")
        browser.close()
    print(f"Wrote {STILL.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
