"""The browser that prints the book and tests its pages."""

import os
import shutil

MISSING = (
    "no Chromium: apt-get install chromium (Debian), or set CHROMIUM to a "
    "browser's path"
)
MAC = "/Applications/{0}.app/Contents/MacOS/{0}"


def find():
    """Return the browser that CHROMIUM names, or the first one installed."""
    names = ["chromium", "chromium-browser", "google-chrome"]
    names += [MAC.format(name) for name in ("Google Chrome", "Chromium")]
    given = os.environ.get("CHROMIUM")
    return next(
        filter(None, map(shutil.which, [given] if given else names)), None
    )


def launch(playwright, path):
    """Start it so that it reaches no host but this one."""
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    return playwright.chromium.launch(executable_path=path, args=[rules])
