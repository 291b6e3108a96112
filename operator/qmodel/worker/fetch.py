"""Fetch: the source's files on the volume, each proven to be what the source announced.

A file that was interrupted continues where it stopped, in this process or the next; the folder
gets its name only when every file in it is whole.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from qmodel.worker.errors import (
    ArtifactDamaged,
    ChecksumMismatch,
    Interrupted,
    SourceChanged,
    SourceUnavailable,
)
from qmodel.worker.files import (
    alone,
    naming_full_disk,
    read_chunks,
    regular_files,
    require_space,
    staged,
)
from qmodel.worker.inspect.fetched import check_fetched
from qmodel.worker.inspect.select import Selection, select
from qmodel.worker.manifest import Manifest, verify, write_manifest
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.report import Fetched
from qmodel.worker.sources import Source, SourceFile, open_source, pinned
from qmodel.worker.store import make_room
from qmodel.worker.task import FetchTask

ATTEMPTS = 6
"""Of one file, without a byte of progress between them."""
FIRST_WAIT_SECONDS = 1.0
"""Before it continues; twice as long with every attempt that brought nothing."""
_PARALLEL_FILES = 4

_log = logging.getLogger(__name__)


def run(task: FetchTask, progress: Progress) -> Fetched:
    """Bring the files that inspect chose, unless every byte of them is there.

    Raises
    ------
    StepError
        As the source answers; SourceChanged if it is not what was inspected; ChecksumMismatch,
        DiskFull.
    """
    with alone(Path(task.directory)):
        return _fetch(task, progress)


def _fetch(task: FetchTask, progress: Progress) -> Fetched:
    """Bring the files, unless they are there."""
    directory = Path(task.directory)
    if (stored := _stored(directory, progress.part(0.0, 0.02))) is not None:
        progress.at(1, "already there")
        return _fetched(stored)
    source = open_source(pinned(task.source, task.source_revision))
    selection = select(source)
    _check_unchanged(source, selection, task.source_revision)
    if task.keep_revisions is not None:
        make_room(directory.parent.parent, task.keep_revisions, directory.name)
    with staged(directory, resume=True) as partial:
        manifest = _fill(partial, source, selection, task, progress)
        _check_unchanged(source, selection, task.source_revision)
    return _fetched(manifest)


def _stored(directory: Path, progress: ProgressPart) -> Manifest | None:
    """Return the manifest of files whose every byte is as recorded.

    Sizes would not do: what is made of a damaged file would get a manifest that vouches for it.
    """
    try:
        return verify(directory, progress)
    except ArtifactDamaged:
        return None


def _check_unchanged(source: Source, selection: Selection, revision: str) -> None:
    """Check that the source is what was inspected."""
    found = source.revision(selection.paths)
    if found != revision:
        message = f"{source.name} changed since it was inspected: from {revision} to {found}"
        raise SourceChanged(message)


def _fill(
    partial: Path, source: Source, selection: Selection, task: FetchTask, progress: Progress
) -> Manifest:
    """Bring every file into `partial`, what stands beside the weights first; write the manifest."""
    targets = {PurePosixPath(path).name: source.files[path] for path in selection.paths}
    companions = [PurePosixPath(path).name for path in selection.companions]
    for path in regular_files(partial):
        if path.relative_to(partial).as_posix() not in targets:
            path.unlink()
    have = sum(path.stat().st_size for path in regular_files(partial))
    total = selection.bytes(source)
    require_space(partial, total - have)
    count = _counter(total, progress)
    beside = {name: targets.pop(name) for name in companions}
    known = _bring(_Transfer(source, count), beside, partial)
    check_fetched(partial, companions)
    known |= _bring(_Transfer(source, count), targets, partial)
    provenance = {"source": source.name, "revision": task.source_revision}
    return write_manifest(partial, provenance, known)


def _bring(
    transfer: "_Transfer", targets: Mapping[str, SourceFile], partial: Path
) -> dict[str, str]:
    """Bring several files at once; return their sha256 by name."""
    with ThreadPoolExecutor(_PARALLEL_FILES) as pool:
        futures = {
            pool.submit(transfer.bring, file, partial / name): name
            for name, file in targets.items()
        }
        try:
            return {futures[future]: future.result() for future in as_completed(futures)}
        finally:
            transfer.stop.set()
            pool.shutdown(cancel_futures=True)


def _counter(total: int, progress: Progress) -> Callable[[int], None]:
    """Return what counts bytes from several threads."""
    lock = threading.Lock()
    done = 0

    def count(more: int) -> None:
        nonlocal done
        with lock:
            done += more
            progress.at(done / max(total, 1), f"{done:,} of {total:,} bytes")

    return count


@dataclass
class _Hashes:
    """Hashes of a file as it passes by: the volume's own, and git's where the hub has no other."""

    file: SourceFile
    received: int = 0
    sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        header = f"blob {self.file.bytes}\0".encode()
        self.git_blob = hashlib.sha1(header, usedforsecurity=False)

    def update(self, chunk: bytes | memoryview) -> None:
        self.received += len(chunk)
        self.sha256.update(chunk)
        if self.file.git_blob:
            self.git_blob.update(chunk)

    def problem(self) -> str | None:
        """Return how the content differs from what was announced."""
        announced = (
            ("bytes", str(self.file.bytes), str(self.received)),
            ("sha256", self.file.sha256, self.sha256.hexdigest()),
            ("git blob", self.file.git_blob, self.git_blob.hexdigest()),
        )
        for kind, expected, found in announced:
            if expected and expected != found:
                return f"{kind} {expected} was announced, {found} received"
        return None


@dataclass
class _Transfer:
    """Brings files of one source; `stop` ends all of them soon."""

    source: Source
    count: Callable[[int], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def bring(self, file: SourceFile, target: Path) -> str:
        """Bring one file, continuing what is there; return its sha256.

        Raises
        ------
        ChecksumMismatch
            If it is not what was announced; the bad file is removed.
        """
        resumed = target.exists() and target.stat().st_size > 0
        hashes = self._continue(file, target)
        problem = hashes.problem()
        if problem and resumed:
            _log.warning("%s continued badly (%s): it starts again", file.path, problem)
            self.count(-hashes.received)
            target.unlink()
            hashes = self._continue(file, target)
            problem = hashes.problem()
        if problem:
            target.unlink()
            message = f"{file.path} of {self.source.name} is damaged: {problem}; it was removed"
            raise ChecksumMismatch(message)
        return hashes.sha256.hexdigest()

    def _continue(self, file: SourceFile, target: Path) -> _Hashes:
        """Bring what is missing of one file, trying again while the source falters."""
        hashes = _Hashes(file)
        target.touch()
        for chunk in read_chunks(target):
            self._pass(hashes, chunk)
        failures = 0
        while hashes.received < file.bytes:
            before = hashes.received
            try:
                self._append(file, target, hashes)
            except SourceUnavailable as error:
                failures = 0 if hashes.received > before else failures + 1
                if failures >= ATTEMPTS or error.retry_after != SourceUnavailable.retry_after:
                    raise
                _log.warning("%s: %s; continuing at byte %d", file.path, error, hashes.received)
                self.stop.wait(FIRST_WAIT_SECONDS * 2**failures)
        return hashes

    def _append(self, file: SourceFile, target: Path, hashes: _Hashes) -> None:
        """Append one response's bytes to the file."""
        needed = file.bytes - hashes.received
        chunks = self.source.stream(file.path, hashes.received)
        with naming_full_disk(target, needed), target.open("ab") as out, closing(chunks):
            for chunk in chunks:
                if self.stop.is_set():
                    message = f"{file.path} stops at byte {hashes.received}, as the step ends"
                    raise Interrupted(message)
                out.write(chunk)
                self._pass(hashes, chunk)
                if hashes.received > file.bytes:
                    return
        if hashes.received < file.bytes:
            message = f"{self.source.name} sent {hashes.received} of {file.bytes} bytes"
            raise SourceUnavailable(message)

    def _pass(self, hashes: _Hashes, chunk: bytes | memoryview) -> None:
        hashes.update(chunk)
        self.count(len(chunk))


def _fetched(manifest: Manifest) -> Fetched:
    """Return the step's answer."""
    return Fetched(bytes=manifest.total_bytes, files=len(manifest.files))
