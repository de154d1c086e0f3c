"""A server of one folder that answers ranges; writes down what it was asked for.

Usage: python range_server.py FOLDER LOG [RATE SEED FAULT ...]

In a process of its own: GDAL waits for the answer while it keeps Python's lock. Prints its port. A
line of the log is the method, the file, the range, the bytes that were sent, and what went wrong.
That happens to a share RATE of the requests. FAULT is one of

    close   the connection is closed before there is an answer
    reset   the same, and the client is told so
    half    it is closed in the middle of the answer
    503     any such status in place of the file
"""

from __future__ import annotations

import random
import re
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER, LOG = Path(sys.argv[1]), Path(sys.argv[2])
RATE, SEED, *FAULTS = sys.argv[3:] or ("0", "0")
CHANCE, LOCK = random.Random(int(SEED)), threading.Lock()


def draw_fault() -> str:
    """What goes wrong with the next request, or nothing."""
    with LOCK:
        return CHANCE.choice(FAULTS) if CHANCE.random() < float(RATE) else ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        name = self.path.partition("?")[0].lstrip("/")
        path, asked = FOLDER / name, self.headers.get("Range", "")
        fault = draw_fault()
        if fault in {"close", "reset"}:
            self._note(name, asked, 0, fault)
            self._hang_up(told=fault == "reset")
            return
        if fault.isdigit() or not path.is_file():
            self._note(name, asked, 0, fault)
            self.send_response(int(fault or 404))
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
        if fault == "half":
            content = content[: len(content) // 2]
        self._note(name, asked, len(content) if body else 0, fault)
        if body:
            self.wfile.write(content)
        if fault:
            self._hang_up(told=False)

    def _hang_up(self, *, told: bool) -> None:
        self.close_connection = True
        if told:
            # Lingering for no time is a reset (socket(7)).
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _note(self, name: str, asked: str, sent: int, fault: str) -> None:
        with LOCK, LOG.open("a") as log:
            log.write(f"{self.command}\t{name}\t{asked}\t{sent}\t{fault}\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
sys.stdout.write(f"{server.server_address[1]}\n")
sys.stdout.flush()
server.serve_forever()
