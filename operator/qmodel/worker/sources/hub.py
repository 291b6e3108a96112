"""A repository of a Hugging Face endpoint, through the hub's own client."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # re-exported lazily
    build_hf_headers,
    filter_repo_objects,
    hf_raise_for_status,
    http_stream_backoff,
)

from qmodel.worker.errors import HubUnavailable, SourceInvalid, SourceNotFound
from qmodel.worker.sources.base import MAX_FILES, Chunks, SourceFile, checked_path
from qmodel.worker.sources.credentials import secret_word
from qmodel.worker.sources.hub_errors import hub_errors
from qmodel.worker.task import HubSource

TIMEOUT_SECONDS = 30
"""Longest silence of the server."""
_CHUNK_BYTES = 1 << 20
_PARTIAL_CONTENT = 206


class HubRepository:
    """One repository at one commit.

    Parameters
    ----------
    task
        Endpoint, repository, revision, and where the token is.

    Raises
    ------
    RepositoryNotFound, RevisionNotFound, AccessDenied, HubUnavailable
        As the endpoint answers.
    """

    hint = "spec.source.huggingFace.file"

    def __init__(self, task: HubSource) -> None:
        self._task = task.model_copy(update={"endpoint": task.endpoint.rstrip("/")})
        self._token = _token(task)
        self.name = task.repository
        self.commit, self.files = self._listing()
        self.wanted = self._checked_wanted()

    def stream(self, path: str, offset: int, length: int | None = None) -> Chunks:
        """Yield a file's bytes from `offset` by one range request.

        The client's own download starts a file again after the process was killed; this
        continues it. Compressed transfer is declined, so that offsets are those of the file.
        """
        end = "" if length is None else offset + length - 1
        headers = self._headers() | {"Range": f"bytes={offset}-{end}"}
        url = hf_hub_url(
            self._task.repository, path, revision=self.commit, endpoint=self._task.endpoint
        )
        with (
            hub_errors(self._task),
            http_stream_backoff(
                "GET",
                url,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                max_retries=0,
                retry_on_exceptions=(),
                retry_on_status_codes=(),
            ) as response,
        ):
            hf_raise_for_status(response)
            skip = 0 if response.status_code == _PARTIAL_CONTENT else offset
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                yield chunk[skip:]
                skip = max(skip - len(chunk), 0)

    def identity(self, path: str) -> str:
        """Return the hash that the hub announces for the file."""
        file = self.files[path]
        return file.sha256 or file.git_blob or self.commit

    def revision(self, _paths: Sequence[str]) -> str:
        """Return the commit."""
        return self.commit

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = build_hf_headers(token=self._token or False)
        return headers | {"Accept-Encoding": "identity"}

    def _listing(self) -> tuple[str, Mapping[str, SourceFile]]:
        """Return the commit that the revision names, and its files."""
        with hub_errors(self._task):
            info = HfApi(endpoint=self._task.endpoint).model_info(
                self._task.repository,
                revision=self._task.revision,
                files_metadata=True,
                timeout=TIMEOUT_SECONDS,
                token=self._token or False,
            )
        if not info.sha or not re.fullmatch(r"[0-9a-f]{40,64}", info.sha):
            message = f"{self._task.endpoint} names no commit for {self.name}: is it a hub?"
            raise HubUnavailable(message)
        siblings = info.siblings or []
        if len(siblings) > MAX_FILES:
            message = f"{self.name} holds {len(siblings)} files: at most {MAX_FILES} are read"
            raise SourceInvalid(message)
        chosen = filter_repo_objects(
            siblings,
            allow_patterns=self._task.include,
            ignore_patterns=self._task.exclude,
            key=lambda sibling: sibling.rfilename,
        )
        files = (self._file(sibling) for sibling in chosen)
        return info.sha, {file.path: file for file in files}

    def _file(self, sibling: RepoSibling) -> SourceFile:
        """Return one entry of the hub's list, checked."""
        if sibling.size is None or sibling.size < 0:
            message = f"{self._task.endpoint} tells no size of {sibling.rfilename[:200]}"
            raise HubUnavailable(message)
        return SourceFile(
            path=checked_path(sibling.rfilename),
            bytes=sibling.size,
            sha256=sibling.lfs.sha256 if sibling.lfs else None,
            git_blob=None if sibling.lfs else sibling.blob_id,
        )

    def _checked_wanted(self) -> str | None:
        """Return the file that was asked for, if it is there."""
        wanted = self._task.file
        if wanted is not None and wanted not in self.files:
            message = f"{self.name} has no file {wanted}: correct {self.hint}"
            raise SourceNotFound(message)
        return wanted


def _token(task: HubSource) -> str | None:
    """Return the access token, if the task names one."""
    if task.token_file is None:
        return None
    return secret_word(Path(task.token_file), "spec.source.huggingFace.tokenSecretRef")
