"""Where a model comes from, behind one small interface."""

import os
from pathlib import Path

from qmodel.worker.errors import CertificatesMissing
from qmodel.worker.sources.base import Source, SourceFile, digest_of, read
from qmodel.worker.sources.folder import Folder
from qmodel.worker.task import FolderSource, HubSource, OCISource, S3Source, SourceTask

__all__ = ["Source", "SourceFile", "digest_of", "open_source", "pinned", "read"]


def open_source(task: SourceTask) -> Source:
    """Return the source that a task names; each client is imported only for its own kind.

    Raises
    ------
    StepError
        If it does not exist, may not be read, or does not answer.
    """
    if isinstance(task, FolderSource):
        return Folder(task)
    _check_certificates()
    if isinstance(task, S3Source):
        from qmodel.worker.sources.s3 import Bucket  # noqa: PLC0415

        return Bucket(task)
    if isinstance(task, OCISource):
        from qmodel.worker.sources.oci import Artifact  # noqa: PLC0415

        return Artifact(task)
    from qmodel.worker.sources.hub import HubRepository  # noqa: PLC0415

    return HubRepository(task)


def pinned(task: SourceTask, revision: str) -> SourceTask:
    """Return a source at what inspect resolved, whatever a branch or tag names by now."""
    if isinstance(task, HubSource):
        return task.model_copy(update={"revision": revision})
    if isinstance(task, OCISource):
        repository = task.reference.partition("@")[0]
        return task.model_copy(update={"reference": f"{repository}@{revision}"})
    return task


def _check_certificates() -> None:
    """Check that the bundle which the installation names is there: clients would not say so."""
    bundle = os.environ.get("SSL_CERT_FILE")
    if bundle and not Path(bundle).exists():
        message = (
            "the ConfigMap with the certificates that this installation trusts"
            " (sources.caBundle) is not in the model's namespace, or lacks the key"
        )
        raise CertificatesMissing(message)
