"""A server on this machine that shows a folder as GitHub Pages would."""

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from manuscript import BASE


class Pages(SimpleHTTPRequestHandler):
    """Shows a folder in the sub-path of BASE, with its own 404 page."""

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
