"""Stands before a real server and passes everything on, with the faults that a test asks for."""

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from hub.faults import Fault, Faults
from stores.process import HOST

CHUNK_BYTES = 1 << 16
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass
class Entry:
    """A request that passed, and how many bytes of its answer."""

    path: str
    range: str | None
    authorization: str | None
    sent_bytes: int = 0


@dataclass
class Proxy:
    """A running proxy."""

    target: str
    """Host and port of the real server."""
    faults: Faults = field(default_factory=Faults)
    """`status`, `interrupt` and `corrupt` of tests/hub/faults.py."""
    redirects: dict[str, str] = field(default_factory=dict)
    """Base URL that a path with this text is redirected to."""
    log: list[Entry] = field(default_factory=list)
    port: int = 0

    @property
    def host(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    def ranges(self, text: str) -> list[str | None]:
        """Return what was asked of the paths with this text."""
        return [entry.range for entry in self.log if text in entry.path]


@contextmanager
def proxy(target: str, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy before a server; it speaks TLS if it is told how."""
    found = Proxy(target)
    server = ThreadingHTTPServer((HOST, 0), _handler(found))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        owner = proxy

    return Handler


class _Handler(BaseHTTPRequestHandler):
    owner: Proxy

    def do_GET(self) -> None:
        entry = Entry(self.path, self.headers.get("Range"), self.headers.get("Authorization"))
        self.owner.log.append(entry)
        redirect = next((to for text, to in self.owner.redirects.items() if text in self.path), "")
        fault = self.owner.faults.take(self.path, "status", "interrupt", "corrupt")
        if redirect:
            self._head(307, {"Location": redirect + self.path, "Content-Length": "0"})
        elif fault and fault.kind == "status":
            wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            self._head(fault.status, {"Content-Length": "0"} | wait)
        else:
            # A client may hang up in the middle of an answer.
            with suppress(ConnectionError):
                self._pass_on(entry, fault)

    do_HEAD = do_GET  # noqa: N815 - the base class asks for the name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep the terminal quiet."""

    def _pass_on(self, entry: Entry, fault: Fault | None) -> None:
        # A client that takes this for its own proxy names the whole address.
        url = urlsplit(self.path)
        path = url.path + (f"?{url.query}" if url.query else "")
        with closing(http.client.HTTPConnection(self.owner.target, timeout=30)) as connection:
            connection.request(self.command, path, headers=dict(self.headers))
            with connection.getresponse() as answer:
                self._answer(entry, fault, answer)
        self.close_connection = True

    def _answer(self, entry: Entry, fault: Fault | None, answer: http.client.HTTPResponse) -> None:
        self._head(answer.status, dict(answer.getheaders()))
        left = fault.after_bytes if fault and fault.kind == "interrupt" else 1 << 62
        while chunk := answer.read(min(CHUNK_BYTES, left)):
            if fault and fault.kind == "corrupt" and not entry.sent_bytes:
                chunk = bytes([chunk[0] ^ 0xFF]) + chunk[1:]
            left -= len(chunk)
            entry.sent_bytes += len(chunk)
            self.wfile.write(chunk)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.end_headers()
