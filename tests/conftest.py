"""What the checks of the built pages share."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from manuscript import ROOT
from playwright.sync_api import Browser, sync_playwright

MAC = "/Applications/{0}.app/Contents/MacOS/{0}"


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built pages."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").is_file():
        pytest.fail("_build/html has no pages; run make book", pytrace=False)
    return folder


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
    root = sys.platform != "win32" and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                *(["--no-sandbox"] if root else []),
            ],
        )
        yield browser
        browser.close()
