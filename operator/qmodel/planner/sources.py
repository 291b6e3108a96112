"""From `spec.source` to what a Job is told and given."""

from qmodel.api.source import Source
from qmodel.planner.model import Installation, SecretFile
from qmodel.worker.task import SOURCE_VOLUME, TOKEN_FILE, FolderSource, HubSource, SourceTask


def source_task(source: Source, installation: Installation) -> SourceTask:
    """Return the source as the worker is told it."""
    hub = source.hugging_face
    if hub is not None:
        return HubSource(
            endpoint=installation.hub_endpoint,
            repository=hub.repository,
            revision=hub.revision,
            file=hub.file,
            token_file=None if hub.token_secret_ref is None else TOKEN_FILE,
        )
    claim = source.persistent_volume_claim
    path = "" if claim is None else claim.path.strip("/")
    return FolderSource(path=f"{SOURCE_VOLUME}/{path}".rstrip("/"))


def source_claim(source: Source) -> str | None:
    """Return the user's claim that inspect and fetch mount."""
    claim = source.persistent_volume_claim
    return None if claim is None else claim.claim_name


def token_file(source: Source) -> SecretFile | None:
    """Return the Secret's key that inspect and fetch mount."""
    reference = None if source.hugging_face is None else source.hugging_face.token_secret_ref
    return None if reference is None else SecretFile(reference.name, reference.key)


def source_name(source: Source) -> str:
    """Return what people call the source, for provenance."""
    if source.hugging_face is not None:
        return source.hugging_face.repository
    claim = source.persistent_volume_claim
    return "" if claim is None else f"{claim.claim_name}/{claim.path}".rstrip("/")
