"""The hub as an HTTP server: in a thread for tests, or as a process in a container.

`POST /_control` with `{"faults": [{"kind": "status", "status": 429, "times": 2}]}` switches
faults on, `GET /_control` returns them and the log of requests, `DELETE /_control` clears both.
"""

import functools
import json
import socket
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from hub.faults import Fault, Faults
from hub.protocol import Request, Response, as_json, respond
from hub.store import CHUNK_BYTES, File, Store

CONTROL = "/_control"
LOG_LENGTH = 10_000


@dataclass
class Entry:
    """A request that was answered."""

    method: str
    path: str
    range: str | None = None
    is_authenticated: bool = False
    status: int = HTTPStatus.OK
    sent_bytes: int = 0


class Hub:
    """A running hub over a folder of repositories; a context manager that starts and stops it."""

    def __init__(self, root: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.store = Store(root)
        self.faults = Faults()
        self.log: deque[Entry] = deque(maxlen=LOG_LENGTH)
        self._server = _Server(self, host, port)

    @property
    def url(self) -> str:
        """The endpoint, for HF_ENDPOINT."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        serve = functools.partial(self._server.serve_forever, poll_interval=0.02)
        threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Serve until the process ends."""
        self._server.serve_forever()

    def control(self, method: str, body: bytes) -> Response:
        """Answer a request of the control path."""
        if method == "DELETE":
            self.faults.clear()
            self.log.clear()
        if method == "POST":
            try:
                wanted = [Fault(**fault) for fault in json.loads(body)["faults"]]
            except (ValueError, TypeError, KeyError) as error:
                return as_json({"error": repr(error)}, HTTPStatus.BAD_REQUEST)
            for fault in wanted:
                self.faults.add(fault)
        requests = [asdict(entry) for entry in self.log]
        return as_json({"faults": self.faults.as_json(), "requests": requests})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hub: Hub, host: str, port: int) -> None:
        self.hub = hub
        super().__init__((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == CONTROL:
            self._send(self._controlled(), Entry(method=self.command, path=CONTROL))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(unquote(url.path), dict(parse_qsl(url.query)), headers)
        response = self._failed(request) or respond(self.server.hub.store, self._heard(request))
        entry = Entry(
            method=self.command,
            path=request.path,
            range=headers.get("range"),
            is_authenticated=request.token is not None,
            status=response.status,
        )
        self.server.hub.log.append(entry)
        self._send(response, entry)

    do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815 - the base class asks for the names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep the terminal quiet: GET /_control returns the log."""

    def _controlled(self) -> Response:
        length = int(self.headers.get("Content-Length") or 0)
        return self.server.hub.control(self.command, self.rfile.read(length))

    def _failed(self, request: Request) -> Response | None:
        fault = self.server.hub.faults.take(request.path, "status")
        if fault is None:
            return None
        wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return as_json({"error": HTTPStatus(fault.status).phrase}, fault.status, wait)

    def _heard(self, request: Request) -> Request:
        """Return a request as the hub understands it: a fault makes it deaf to ranges."""
        if self.server.hub.faults.take(request.path, "whole") is None:
            return request
        heard = {name: value for name, value in request.headers.items() if name != "range"}
        return replace(request, headers=heard)

    def _send(self, response: Response, entry: Entry) -> None:
        """Send a response and log how many bytes of its body went out."""
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        length = response.length if response.file else len(response.content)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if response.file is None:
            entry.sent_bytes = len(response.content)
            self.wfile.write(response.content)
            return
        try:
            self._send_file(response.file, response, entry)
        except ConnectionError:
            self.close_connection = True

    def _send_file(self, file: File, response: Response, entry: Entry) -> None:
        fault = self.server.hub.faults.take(entry.path, "interrupt", "corrupt", "slow")
        kind = fault.kind if fault else None
        wanted = response.length
        if fault and kind == "interrupt":
            wanted = min(wanted, fault.after_bytes)
        most = min(CHUNK_BYTES, fault.bytes_per_second) if fault and kind == "slow" else CHUNK_BYTES
        with file.path.open("rb") as stream:
            stream.seek(response.first)
            while chunk := stream.read(min(most, wanted - entry.sent_bytes)):
                if kind == "corrupt" and entry.sent_bytes == 0:
                    chunk = bytes([chunk[0] ^ 0xFF]) + chunk[1:]
                entry.sent_bytes += len(chunk)  # first, so that a client that has it finds it here
                self.wfile.write(chunk)
                if fault and kind == "slow":
                    time.sleep(len(chunk) / fault.bytes_per_second)
        if entry.sent_bytes < response.length:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
