"""What the hub answers: one pure function from a request to a response.

Follows what huggingface_hub 2.4 asks and reads: model information, file tree and file
resolution; large files are redirected to another path, as the hub does to its CDN.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from hub.store import File, Repository, Store

REPOSITORY = r"(?P<repository>[^/]+/[^/]+)"
INFORMATION = re.compile(rf"/api/models/{REPOSITORY}(?:/revision/(?P<revision>.+))?")
TREE = re.compile(rf"/api/models/{REPOSITORY}/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?")
RESOLVE = re.compile(rf"/{REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
CDN = re.compile(rf"/_cdn/{REPOSITORY}/(?P<path>.+)")
RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)")


@dataclass(frozen=True)
class Request:
    """A request: the path is unquoted, header names are in lower case."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str | None:
        """The bearer token, if one was sent."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else None


@dataclass(frozen=True)
class Response:
    """A response; its body is `content`, or `length` bytes of a file from `first`."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    file: File | None = None
    first: int = 0
    length: int = 0


class Refused(Exception):  # noqa: N818 - a refusal is the hub's answer, not a defect
    """The answer is an error, with the code that the client turns into an exception."""

    def __init__(self, status: HTTPStatus, code: str | None, message: str) -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.response = as_json({"error": message}, status, headers)


def respond(store: Store, request: Request) -> Response:
    """Answer one GET; a HEAD is answered the same, without the body."""
    try:
        _check_token(store, request)
        if match := CDN.fullmatch(request.path):
            repository = _repository(store, request, match["repository"])
            return _content(repository, _file(repository, match["path"]), request)
        if match := RESOLVE.fullmatch(request.path):
            return _resolve(store, request, match)
        if match := TREE.fullmatch(request.path):
            return _tree(store, request, match)
        if match := INFORMATION.fullmatch(request.path):
            return _information(store, request, match)
    except Refused as refused:
        return refused.response
    return as_json({"error": "Not Found"}, HTTPStatus.NOT_FOUND)


def as_json(
    content: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response."""
    body = json.dumps(content).encode()
    return Response(status, {"Content-Type": "application/json", **(headers or {})}, body)


def _check_token(store: Store, request: Request) -> None:
    if request.token is not None and not store.knows(request.token):
        message = "Invalid credentials in Authorization header"
        raise Refused(HTTPStatus.UNAUTHORIZED, None, message)


def _repository(store: Store, request: Request, name: str) -> Repository:
    repository = store.repository(name)
    if repository is None:
        # The hub hides from strangers whether a repository exists.
        status = HTTPStatus.NOT_FOUND if request.token else HTTPStatus.UNAUTHORIZED
        raise Refused(status, "RepoNotFound", "Repository not found")
    return repository


def _at_revision(store: Store, request: Request, match: re.Match[str]) -> Repository:
    repository = _repository(store, request, match["repository"])
    if not repository.has_revision(match["revision"] or "main"):
        message = f"Invalid rev id: {match['revision']}"
        raise Refused(HTTPStatus.NOT_FOUND, "RevisionNotFound", message)
    return repository


def _file(repository: Repository, path: str) -> File:
    file = repository.files.get(path)
    if file is None:
        raise Refused(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")
    return file


def _information(store: Store, request: Request, match: re.Match[str]) -> Response:
    repository = _at_revision(store, request, match)
    with_blobs = request.query.get("blobs", "").lower() in ("1", "true")
    siblings = [_sibling(file, with_blobs=with_blobs) for file in repository.files.values()]
    information = {
        "id": repository.name,
        "modelId": repository.name,
        "sha": repository.commit,
        "private": False,
        "disabled": False,
        "gated": "manual" if repository.is_gated else False,
        "tags": [],
        "siblings": siblings,
    }
    return as_json(information)


def _sibling(file: File, *, with_blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": file.name}
    if with_blobs:
        sibling |= {"size": file.size, "blobId": file.blob_id}
    if with_blobs and file.is_lfs:
        lfs = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
        sibling["lfs"] = lfs
    return sibling


def _tree(store: Store, request: Request, match: re.Match[str]) -> Response:
    repository = _at_revision(store, request, match)
    prefix = f"{match['path']}/" if match["path"] else ""
    is_recursive = request.query.get("recursive", "").lower() in ("1", "true")
    entries = list(_tree_entries(repository, prefix, is_recursive=is_recursive))
    if prefix and not entries:
        raise Refused(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")
    return as_json(entries)


def _tree_entries(
    repository: Repository, prefix: str, *, is_recursive: bool
) -> Iterator[dict[str, Any]]:
    folders = set()
    for file in repository.files.values():
        if not file.name.startswith(prefix):
            continue
        folder, is_below, _ = file.name.removeprefix(prefix).partition("/")
        if is_below and not is_recursive:
            folders.add(prefix + folder)
        else:
            yield _tree_file(file)
    for folder in sorted(folders):
        yield {"type": "directory", "path": folder, "size": 0, "oid": repository.commit}


def _tree_file(file: File) -> dict[str, Any]:
    entry = {"type": "file", "path": file.name, "size": file.size, "oid": file.blob_id}
    if not file.is_lfs:
        return entry
    lfs = {"oid": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
    return entry | {"lfs": lfs}


def _resolve(store: Store, request: Request, match: re.Match[str]) -> Response:
    repository = _at_revision(store, request, match)
    if not store.may_read(request.token, repository):
        status = HTTPStatus.FORBIDDEN if request.token else HTTPStatus.UNAUTHORIZED
        message = f"Access to model {repository.name} is restricted."
        raise Refused(status, "GatedRepo", message)
    file = _file(repository, match["path"])
    if not file.is_lfs:
        return _content(repository, file, request)
    linked = {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.etag}"'}
    location = f"{store.cdn}/_cdn/{repository.name}/{quote(file.name)}"
    headers = {"X-Repo-Commit": repository.commit, "Location": location}
    return Response(HTTPStatus.FOUND, headers | linked)


def _content(repository: Repository, file: File, request: Request) -> Response:
    # The commit stands here too: the client follows a redirect to the same host, as a mirror's
    # is, and reads the last answer.
    headers = {
        "X-Repo-Commit": repository.commit,
        "ETag": f'"{file.etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    asked = RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None:
        return Response(HTTPStatus.OK, headers, file=file, length=file.size)
    first, last = _span(asked, file.size)
    if first > last:
        unsatisfied = {"Content-Range": f"bytes */{file.size}"}
        return Response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, unsatisfied)
    headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
    length = last - first + 1
    return Response(HTTPStatus.PARTIAL_CONTENT, headers, file=file, first=first, length=length)


def _span(asked: re.Match[str], size: int) -> tuple[int, int]:
    """Return the first and the last byte that a range asks of a file."""
    if not asked["first"]:
        return max(size - int(asked["last"] or 0), 0), size - 1
    last = int(asked["last"]) if asked["last"] else size - 1
    return int(asked["first"]), min(last, size - 1)
