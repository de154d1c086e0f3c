"""A server of one folder that answers ranges; writes down what it was asked for.

Usage: python range_server.py FOLDER LOG

In a process of its own: GDAL waits for the answer while it keeps Python's lock. Prints its port. A
line of the log is the method, the file, the range and the bytes that were sent.
"""

from __future__ import annotations

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER, LOG = Path(sys.argv[1]), Path(sys.argv[2])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        name = self.path.partition("?")[0].lstrip("/")
        path, asked = FOLDER / name, self.headers.get("Range", "")
        if not path.is_file():
            self._note(name, asked, 0)
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        size = len(content)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        if wanted:
            first, last = int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)
            content = content[first : last + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self._note(name, asked, len(content) if body else 0)
        if body:
            self.wfile.write(content)

    def _note(self, name: str, asked: str, sent: int) -> None:
        with LOG.open("a") as log:
            log.write(f"{self.command}\t{name}\t{asked}\t{sent}\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
sys.stdout.write(f"{server.server_address[1]}\n")
sys.stdout.flush()
server.serve_forever()
