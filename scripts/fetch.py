"""Copy a published book into a folder, so that the page checks can read it.

    python scripts/fetch.py URL FOLDER

It begins with what the sitemap lists and follows all that lies within the
book. What is not there stays out of the copy, and the checks miss it.
"""

import html
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
# Pages that no sitemap lists, what only scripts ask for, and the PDF.
UNLISTED = (
    "",
    "404.html",
    "drawing-the-line.pdf",
    "search.html",
    "searchindex.js",
    "sitemap.xml",
)
ADDRESS = re.compile(
    r"""(?:\b(?:href|src)=|\burl\(|@import)\s*["']?([^"'\s>)]+)"""
    r"""|\bcontent="(https?:[^"]+)"""
)


def baseurl(root=ROOT):
    """Return the address that _config.yml gives the published book."""
    config = (root / "_config.yml").read_text("utf-8")
    return re.search(r"^  baseurl: *(\S+)", config, re.MULTILINE)[1]


def get(url):
    """Return what an address holds, or None if nothing is there."""
    try:
        with urlopen(url, timeout=30) as answer:
            return answer.read()
    except HTTPError as error:
        # That page may come with the status that it is there for.
        return error.read() if url.endswith("/404.html") else None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise OSError(f"{url} does not answer: {reason}") from error


def leads_out(name):
    """Tell whether a file of this name would lie outside of the copy."""
    return name.startswith("/") or ".." in Path(name).parts


def listed(url, base):
    """Return what the sitemap lists, as names within the book."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"URL must be a published book's, got {url!r}")
    sitemap = get(f"{url}sitemap.xml")
    found = re.findall("<loc>(.*?)</loc>", (sitemap or b"").decode())
    if not found:
        raise ValueError(f"{url} is not this book: it has no sitemap.xml")
    strange = [
        link
        for link in found
        if not link.startswith(base) or leads_out(link.removeprefix(base))
    ]
    if strange:
        raise ValueError(
            f"{url} is not this book: its sitemap lists {strange[0]}, and "
            f"_config.yml says {base}"
        )
    return {link.removeprefix(base) for link in found}


def within(url, name, text):
    """Return the names within the book to which a file of it leads."""
    found = set()
    for pair in ADDRESS.findall(text):
        address = html.unescape("".join(pair))
        link = urldefrag(urljoin(url + name, address))[0]
        inside = unquote(urlsplit(link).path.removeprefix(urlsplit(url).path))
        if link.startswith(url) and not leads_out(inside):
            found.add(inside)
    return found


def copy(url, folder, base):
    """Copy the book at ``url`` into ``folder``; return how many files."""
    wanted, seen, count = listed(url, base) | set(UNLISTED), set(), 0
    shutil.rmtree(folder, ignore_errors=True)
    with ThreadPoolExecutor(8) as pool:
        while wanted:
            names = sorted(wanted)
            seen |= wanted
            wanted = set()
            contents = pool.map(lambda name: get(url + quote(name)), names)
            for name, content in zip(names, contents, strict=True):
                if content is None:
                    continue
                path = folder / name
                if not name or name.endswith("/"):
                    path /= "index.html"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                count += 1
                if path.suffix in (".html", ".css"):
                    # Pages name the stamped address, wherever they lie.
                    text = content.decode().replace(base, url)
                    wanted |= within(url, name, text) - seen
    return count


def main(arguments):
    url = arguments[0].rstrip("/") + "/"
    folder = Path(arguments[1])
    count = copy(url, folder, baseurl())
    print(f"Copied {count} files of {url} to {folder}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"Not checked: {error}")
