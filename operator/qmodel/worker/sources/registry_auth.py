"""How a registry's challenge is answered, and what of a pull secret goes to which host.

The secret goes to the registry, or to the token service that it names: that must lie in the same
domain (registry.example.com may name auth.example.com, example.com and itself) and be reached as
safely. A token goes to the registry alone, never along with a redirect.
"""

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from httpx2 import URL, Auth, Request, Response

from qmodel.worker.errors import AccessDenied, SourceUnavailable
from qmodel.worker.sources.credentials import secret_text

_UNAUTHORIZED = 401
_DOCKER_HUB_NAMES = {"index.docker.io", "registry-1.docker.io"}
_API_PATHS = {"/v1/", "/v2/"}
"""Of entries as old clients wrote them."""
_TOKEN = re.compile(r"[!-~]{1,65536}")


class RegistryAuth(Auth):
    """Answers Basic and Bearer challenges, asking for leave to pull one repository.

    Parameters
    ----------
    base
        Scheme and host of the registry.
    repository
        What to pull.
    secret
        `user:password` in base64, or None for an anonymous reader.
    """

    def __init__(self, base: str, repository: str, secret: str | None) -> None:
        self._registry = URL(base)
        self._repository = repository
        self._secret = secret
        self._header: str | None = None

    def sync_auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """Send a request as it was allowed before; when that is refused, ask anew, once."""
        if self._header:
            request.headers["Authorization"] = self._header
        response = yield request
        asked_by = response.request.url.origin
        if response.status_code != _UNAUTHORIZED or asked_by != self._registry.origin:
            return
        scheme, challenge = _challenge(response)
        if scheme == "bearer":
            answer = yield self._token_request(challenge)
            answer.read()
            self._header = f"Bearer {_token(answer)}"
        elif scheme == "basic" and self._secret:
            self._header = f"Basic {self._secret}"
        else:
            return
        request.headers["Authorization"] = self._header
        yield request

    def _token_request(self, challenge: Mapping[str, str]) -> Request:
        """Return the request for a token, with the secret if its host may have it."""
        realm = URL(challenge.get("realm", ""))
        if realm.scheme not in {"https", self._registry.scheme}:
            message = f"the registry names {str(realm)[:200]!r} as its token service: not https"
            raise AccessDenied(message)
        asked = {"scope": f"repository:{self._repository}:pull"}
        if "service" in challenge:
            asked["service"] = challenge["service"]
        headers = {"Accept-Encoding": "identity"}
        if self._secret:
            self._check_realm(realm)
            headers["Authorization"] = f"Basic {self._secret}"
        return Request("GET", realm.copy_merge_params(asked), headers=headers)

    def _check_realm(self, realm: URL) -> None:
        if not same_domain(realm.host, self._registry.host):
            message = (
                f"{self._registry.host} asks to send the pull secret to {realm.host}, which is"
                " not of its domain: it is not sent"
            )
            raise AccessDenied(message)


def same_domain(host: str, registry: str) -> bool:
    """Whether a host is the registry, or lies in the domain that the registry's name is in."""
    if host == registry:
        return True
    try:
        ipaddress.ip_address(registry)
    except ValueError:
        domain = registry.partition(".")[2]
        return "." in domain and (host == domain or host.endswith(f".{domain}"))
    return False


def login(path: Path, name: str, field: str) -> str | None:
    """Return `user:password` in base64 that a pull secret has for a repository.

    Parameters
    ----------
    path
        A file of the form of docker's config.json. Credential helpers that it names are not run.
    name
        registry/repository; the longest entry that it begins with counts.
    field
        Of spec, for messages.

    Raises
    ------
    SecretMissing
        If it is not there.
    AccessDenied
        If it is not of that form, or holds nothing for the registry.
    """
    text = secret_text(path, f"{field} (key .dockerconfigjson)")
    try:
        entries = json.loads(text)["auths"]
        usable = {_entry_name(key): value for key, value in entries.items()}
        found = max((key for key in usable if f"{name}/".startswith(f"{key}/")), key=len)
        return _user_password(usable[found])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        message = f"{field} holds no user and password for {name}: `docker login` writes such"
        # From None: the cause would show the secret.
        raise AccessDenied(message) from None


def _entry_name(key: str) -> str:
    """Return the registry, and folder if there is one, that an entry is for."""
    parts = urlsplit(key if "://" in key else f"//{key}")
    if parts.netloc in _DOCKER_HUB_NAMES:
        return "docker.io"
    path = "" if parts.path in _API_PATHS else parts.path
    return f"{parts.netloc}{path}".rstrip("/")


def _user_password(entry: Mapping[str, Any]) -> str:
    """Return an entry's user and password; raises LookupError or ValueError if it has none."""
    if entry.get("auth"):
        pair = base64.b64decode(entry["auth"], validate=True)
    else:
        pair = f"{entry['username']}:{entry['password']}".encode()
    if b":" not in pair or not pair.partition(b":")[2]:
        message = "no password"
        raise binascii.Error(message)
    return base64.b64encode(pair).decode()


def _challenge(response: Response) -> tuple[str, Mapping[str, str]]:
    """Return the scheme in lower case, and its parameters."""
    scheme, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
    items = [item for item in parse_http_list(rest) if "=" in item]
    return scheme.lower(), parse_keqv_list(items)


def _token(answer: Response) -> str:
    """Return the token that a token service gave."""
    if answer.status_code in {400, _UNAUTHORIZED, 403}:
        message = f"the registry's token service refuses the credentials ({answer.status_code})"
        raise AccessDenied(message)
    try:
        told = answer.json()
        token = told.get("token") or told.get("access_token") or ""
    except (ValueError, AttributeError, RecursionError):
        token = ""
    if not answer.is_success or not _TOKEN.fullmatch(str(token)):
        message = f"the registry's token service gave no token ({answer.status_code})"
        raise SourceUnavailable(message)
    return str(token)
