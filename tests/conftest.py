"""What the checks of the built pages share."""

import contextlib
import functools
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from manuscript import BASE, PUBLISHED, ROOT
from playwright.sync_api import Browser, sync_playwright

MAC = "/Applications/{0}.app/Contents/MacOS/{0}"


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built pages, or of the copy of published ones."""
    folder = ROOT / "_build" / ("published" if PUBLISHED else "html")
    if not (folder / "index.html").is_file():
        pytest.fail("_build/html has no pages; run make book", pytrace=False)
    return folder


class Pages(SimpleHTTPRequestHandler):
    """Serves a folder as GitHub Pages does: in a sub-path, with its 404."""

    prefix = urlsplit(BASE).path

    def translate_path(self, path: str) -> str:
        inside = path.startswith(self.prefix)
        name = path.removeprefix(self.prefix) if inside else "no/such/file"
        return super().translate_path(f"/{name}")

    def send_error(self, code: int, *rest: Any) -> None:
        page = Path(self.directory, "404.html")
        if code != 404 or not page.is_file():
            return super().send_error(code, *rest)
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.read_bytes())

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder at the address that is given."""
    handler = functools.partial(Pages, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{Pages.prefix}"
        server.shutdown()


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
    known = "127.0.0.1"
    if PUBLISHED:
        known = urlsplit(PUBLISHED).hostname
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
