"""Where a model comes from, behind one small interface."""

from qmodel.worker.sources.base import Source, SourceFile, digest_of, read
from qmodel.worker.sources.folder import Folder
from qmodel.worker.task import FolderSource, SourceTask

__all__ = ["Source", "SourceFile", "digest_of", "open_source", "read"]


def open_source(task: SourceTask) -> Source:
    """Return the source that a task names; the hub's client is imported only for the hub.

    Raises
    ------
    StepError
        If it does not exist, may not be read, or does not answer.
    """
    if isinstance(task, FolderSource):
        return Folder(task)
    from qmodel.worker.sources.hub import HubRepository  # noqa: PLC0415

    return HubRepository(task)
