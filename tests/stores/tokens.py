"""A registry's token service: gives those who know the password leave to pull, and others none.

Its tokens are real: signed by a key whose certificate the registry trusts.
"""

import base64
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stores.process import HOST
from stores.registry import PASSWORD, USER

SERVICE = "registry.test"
ISSUER = "tests"
LIFETIME_SECONDS = 300
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass
class TokenService:
    """A running token service, and what it was asked."""

    folder: Path
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    """Queries, each with the `authorization` header where one was sent."""

    @property
    def auth(self) -> dict[str, Any]:
        """The registry's `auth` section that trusts this service."""
        realm = {"realm": self.url, "service": SERVICE, "issuer": ISSUER}
        certificate = str(self.folder / "tokens.crt")
        return {"token": {**realm, "rootcertbundle": certificate, "signingalgorithms": ["RS256"]}}

    def token(self, query: dict[str, str], *, granted: bool) -> str:
        """Return a signed token, which allows to pull what was asked if it is granted."""
        certificate = (self.folder / "tokens.crt").read_text().splitlines()[1:-1]
        header = {"typ": "JWT", "alg": "RS256", "x5c": ["".join(certificate)]}
        now = int(time.time())
        access = []
        if granted:
            kind, name, _ = query["scope"].split(":")
            access = [{"type": kind, "name": name, "actions": ["pull"]}]
        claims = {
            "iss": ISSUER, "sub": USER, "aud": query["service"], "jti": str(uuid.uuid4()),
            "iat": now, "nbf": now - 5, "exp": now + LIFETIME_SECONDS, "access": access,
        }  # fmt: skip
        text = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
        sign = ["openssl", "dgst", "-sha256", "-sign", str(self.folder / "tokens.key")]
        signed = subprocess.run(sign, input=text.encode(), capture_output=True, check=True)
        return f"{text}.{_encoded(signed.stdout)}"


@contextmanager
def token_service(folder: Path) -> Iterator[TokenService]:
    """Run a token service with a key of its own."""
    service = TokenService(folder)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=tokens.test", "-keyout", str(folder / "tokens.key")]
    subprocess.run([*command, "-out", str(folder / "tokens.crt")], capture_output=True, check=True)
    server = ThreadingHTTPServer((HOST, 0), _handler(service))
    service.url = f"http://{HOST}:{server.server_port}/token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(service: TokenService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = dict(parse_qsl(urlsplit(self.path).query))
            sent = self.headers.get("Authorization")
            service.asked.append({**query, **({"authorization": sent} if sent else {})})
            allowed = sent in {None, BASIC}
            body = b"{}"
            if allowed:
                token = service.token(query, granted=sent == BASIC)
                body = json.dumps({"token": token, "expires_in": LIFETIME_SECONDS}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Keep the terminal quiet."""

    return Handler


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
