"""A folder of a bucket, or one GGUF object.

Every read carries the ETag that was listed, so that the server itself notices an object that
changed since.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import S3Store

from qmodel.worker.errors import EndpointRefused, SourceInvalid, SourceNotFound
from qmodel.worker.sources.base import MAX_FILES, Chunks, SourceFile, checked_path, digest_of
from qmodel.worker.sources.credentials import secret_word
from qmodel.worker.sources.s3_errors import FIELD, s3_errors
from qmodel.worker.task import S3Source

if TYPE_CHECKING:  # the library has these in its stubs only
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, S3Config

TIMEOUT = timedelta(seconds=30)
"""Longest silence of the server."""
_WHOLE_TRANSFER = timedelta(days=1)
"""Of one object; the client's own limit would be 30 s."""
_CHUNK_BYTES = 1 << 20
_PAGE_OBJECTS = 1000
"""Of one answer to a listing, which servers allow at most."""


class Bucket:
    """The objects directly below a prefix; those in folders below it are not part of a model.

    Parameters
    ----------
    task
        Place, region, and where the credentials are.

    Raises
    ------
    SourceNotFound, AccessDenied, WrongRegion, SourceUnavailable, EndpointRefused
        As the server answers.
    """

    hint = f"{FIELD}.uri"

    def __init__(self, task: S3Source) -> None:
        _check_endpoint(task)
        self._task = task
        self.name = task.uri
        bucket, _, key = task.uri.removeprefix("s3://").partition("/")
        folder, _, name = key.rpartition("/")
        self.wanted = name if name.endswith(".gguf") else None
        self._prefix = _as_prefix(folder if self.wanted else key)
        self._etags: dict[str, str] = {}
        keys = _keys(task)
        with s3_errors(task):
            self._store = _store(task, bucket, keys)
            self.files = self._listing()

    def stream(self, path: str, offset: int, length: int | None = None) -> Chunks:
        """Yield an object's bytes from `offset` by one range request."""
        end = self.files[path].bytes if length is None else offset + length
        with s3_errors(self._task):
            answer = self._store.get(
                self._prefix + path,
                options={"range": (offset, end), "if_match": self._etags[path]},
            )
            for chunk in answer.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    def identity(self, path: str) -> str:
        """Return the ETag."""
        return self._etags[path]

    def revision(self, paths: Sequence[str]) -> str:
        """Return the digest of these objects' names, sizes and ETags."""
        return digest_of(self, paths)

    def _listing(self) -> Mapping[str, SourceFile]:
        """Return the objects by their names below the prefix."""
        if self.wanted:
            # Of a HEAD that fails the reason is not told.
            start = self._store.get(self._prefix + self.wanted, options={"range": (0, 1)})
            return {self.wanted: self._file(start.meta)}
        files = [self._file(entry) for entry in self._directly_below()]
        if not files:
            message = f"{self.name} holds no object: correct {self.hint}"
            raise SourceNotFound(message)
        return {file.path: file for file in files}

    def _directly_below(self) -> Iterator["ObjectMeta"]:
        """Yield the objects of the prefix, a page at a time: a data lake's must not fill memory."""
        seen = 0
        for page in self._store.list(self._prefix or None, chunk_size=_PAGE_OBJECTS):
            seen += len(page)
            if seen > MAX_FILES:
                message = (
                    f"{self.name} holds more than {MAX_FILES} objects, those in folders below it "
                    "counted: it is no model's folder"
                )
                raise SourceInvalid(message)
            yield from (e for e in page if "/" not in e["path"].removeprefix(self._prefix))

    def _file(self, entry: "ObjectMeta") -> SourceFile:
        """Return one object, its ETag noted."""
        path = checked_path(entry["path"].removeprefix(self._prefix))
        etag = entry["e_tag"]
        if not etag:
            message = f"the server tells no ETag of {path}, so that a change could not be noticed"
            raise SourceInvalid(message)
        self._etags[path] = etag
        return SourceFile(path=path, bytes=entry["size"])


def _as_prefix(folder: str) -> str:
    """Return the prefix of a folder's objects."""
    stripped = folder.strip("/")
    return f"{stripped}/" if stripped else ""


def _check_endpoint(task: S3Source) -> None:
    if task.endpoint and not task.endpoint.startswith("https://") and not task.allow_insecure:
        message = (
            f"{FIELD}.endpoint {task.endpoint} is not https, which this installation does not"
            " allow: use https, or ask its administrator for sources.allowInsecure"
        )
        raise EndpointRefused(message)


def _store(task: S3Source, bucket: str, keys: "S3Config") -> S3Store:
    """Return the client; it leaves trying again to us."""
    options: ClientConfig = {
        "allow_http": task.allow_insecure,
        "connect_timeout": TIMEOUT,
        "read_timeout": TIMEOUT,
        "timeout": _WHOLE_TRANSFER,
    }
    if bundle := os.environ.get("SSL_CERT_FILE"):
        options["root_certificate"] = Path(bundle).read_bytes()
    place: S3Config = {"region": task.region}
    if task.endpoint:
        place["endpoint"] = task.endpoint.rstrip("/")
    return S3Store(
        bucket,
        config={**place, **keys},
        client_options=options,
        retry_config={"max_retries": 0},
    )


def _keys(task: S3Source) -> "S3Config":
    """Return the credentials; without any the reader is anonymous, and no other place is asked."""
    if task.credentials is None:
        return {"skip_signature": True}
    folder, field = Path(task.credentials), f"{FIELD}.credentialsSecretRef"
    keys: S3Config = {
        "access_key_id": secret_word(folder / "accessKeyId", f"the key accessKeyId of {field}"),
        "secret_access_key": secret_word(
            folder / "secretAccessKey", f"the key secretAccessKey of {field}"
        ),
    }
    token = folder / "sessionToken"
    if token.exists():
        keys["session_token"] = secret_word(token, f"the key sessionToken of {field}")
    return keys
