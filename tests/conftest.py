"""What the checks of the built pages share."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import chromium
import pytest
from manuscript import PUBLISHED, ROOT
from playwright.sync_api import Browser, sync_playwright
from server import serve


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built pages, or of the copy of published ones."""
    folder = ROOT / "_build" / ("published" if PUBLISHED else "html")
    whole = folder / "index.html" if PUBLISHED else ROOT / "_build/complete"
    if not whole.is_file():
        pytest.fail("_build has no whole book; run make book", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def origin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the pages are served, without a slash at its end."""
    if PUBLISHED:
        yield PUBLISHED.rstrip("/")
    else:
        with serve(request.getfixturevalue("built")) as address:
            yield address.rstrip("/")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(chromium.MISSING, pytrace=False)
        pytest.skip(chromium.MISSING)
    host = urlsplit(PUBLISHED or "http://127.0.0.1").hostname
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright, path, host)
        yield browser
        browser.close()
