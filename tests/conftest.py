"""What tests share: strict shapes, the built pages, and a browser."""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import chromium
import jax
import pytest
from manuscript import BASE, ROOT
from playwright.sync_api import Browser, sync_playwright

# A column against a row would broadcast without a word.
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built pages."""
    if not (ROOT / "_build" / "complete").is_file():
        pytest.fail("_build has no whole book; run make book", pytrace=False)
    return ROOT / "_build" / "html"


PREFIX = urlsplit(BASE).path


class Pages(SimpleHTTPRequestHandler):
    """Shows a folder in a sub-path, with its own 404 page."""

    def translate_path(self, path: str) -> str:
        inside = path.startswith(self.prefix)
        name = path.removeprefix(self.prefix) if inside else "no/such/file"
        return super().translate_path(f"/{name}")

    def send_error(self, code: int, *rest: Any) -> None:
        if code != 404:
            return super().send_error(code, *rest)
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(Path(self.directory, "404.html").read_bytes())

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serve(folder: Path, prefix: str) -> Iterator[str]:
    """Serve a folder; yield its address, without a slash."""
    pages = type("Pages", (Pages,), {"prefix": prefix})
    handler = functools.partial(pages, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}{prefix}"
        yield address.rstrip("/")
        server.shutdown()


@pytest.fixture(scope="session")
def origin(built: Path) -> Iterator[str]:
    """Where the pages are served, as GitHub Pages would; without a slash."""
    with serve(built, PREFIX) as address:
        yield address


def pytest_addoption(parser: pytest.Parser) -> None:
    about = "try the pages in Playwright's own Firefox"
    parser.addoption("--firefox", action="store_true", help=about)


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    if pytestconfig.getoption("firefox"):
        with sync_playwright() as playwright:
            yield playwright.firefox.launch()
        return
    path = chromium.find()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(chromium.MISSING, pytrace=False)
        pytest.skip(chromium.MISSING)
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright, path)
        yield browser
        browser.close()
