"""A certificate authority that nobody knows, as closed networks have."""

import ssl
import subprocess
from pathlib import Path

from stores.process import HOST


def authority(folder: Path) -> Path:
    """Make an authority and a server's certificate; return the authority's own."""
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    root = ["-subj", "/CN=closed network", "-keyout", "ca.key", "-out", "ca.crt"]
    leaf = ["-subj", "/CN=server", "-keyout", "server.key", "-out", "server.crt"]
    leaf += ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", f"subjectAltName=IP:{HOST}"]
    leaf += ["-addext", "basicConstraints=critical,CA:false"]
    for more in (root, leaf):
        subprocess.run([*new, *more], cwd=folder, check=True, capture_output=True)
    return folder / "ca.crt"


def server_context(folder: Path) -> ssl.SSLContext:
    """Return what a server needs to speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context
