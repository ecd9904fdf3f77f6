"""What the checks of the built pages share."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from manuscript import PUBLISHED, ROOT
from playwright.sync_api import Browser, sync_playwright
from server import serve

MAC = "/Applications/{0}.app/Contents/MacOS/{0}"


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built pages, or of the copy of published ones."""
    folder = ROOT / "_build" / ("published" if PUBLISHED else "html")
    if not (folder / "index.html").is_file():
        pytest.fail("_build/html has no pages; run make book", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def origin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the pages are served, without a slash at its end."""
    if PUBLISHED:
        yield PUBLISHED.rstrip("/")
    else:
        with serve(request.getfixturevalue("built")) as address:
            yield address.rstrip("/")


def find_chromium() -> str | None:
    """Return the browser that CHROMIUM names, or the first one installed."""
    names = ["chromium", "chromium-browser", "google-chrome"]
    names += [MAC.format(name) for name in ("Google Chrome", "Chromium")]
    given = os.environ.get("CHROMIUM")
    return next(
        filter(None, map(shutil.which, [given] if given else names)), None
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        reason = (
            "no Chromium: apt-get install chromium (Debian), or set CHROMIUM "
            "to a browser's path"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    known = urlsplit(PUBLISHED or "http://127.0.0.1").hostname
    root = sys.platform != "win32" and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {known}",
                *(["--no-sandbox"] if root else []),
            ],
        )
        yield browser
        browser.close()
