"""From `spec.source` to what a Job is told and given."""

from qmodel.api.source import Source
from qmodel.planner.installation import Installation
from qmodel.planner.wishes import SecretFiles, SourceAccess
from qmodel.worker.task import (
    CA_BUNDLE_FILE,
    CREDENTIALS,
    PULL_SECRET_FILE,
    SOURCE_VOLUME,
    TOKEN_FILE,
    FolderSource,
    HubSource,
    OCISource,
    S3Source,
    SourceTask,
)

_S3_KEYS = ("accessKeyId", "secretAccessKey", "sessionToken")
_DOCKER_CONFIG = ".dockerconfigjson"
"""The key of a Secret of type kubernetes.io/dockerconfigjson."""


def source_task(source: Source, installation: Installation) -> SourceTask:
    """Return the source as the worker is told it."""
    if source.hugging_face is not None:
        return _hub(source, installation)
    if source.s3 is not None:
        return S3Source(
            uri=source.s3.uri,
            endpoint=source.s3.endpoint,
            region=source.s3.region,
            credentials=None if source.s3.credentials_secret_ref is None else CREDENTIALS,
            allow_insecure=installation.sources_allow_insecure,
        )
    if source.oci is not None:
        return OCISource(
            reference=source.oci.reference,
            file=source.oci.file,
            pull_secret=None if source.oci.pull_secret_ref is None else PULL_SECRET_FILE,
            insecure=source.oci.insecure,
            allow_insecure=installation.sources_allow_insecure,
        )
    claim = source.persistent_volume_claim
    path = "" if claim is None else claim.path.strip("/")
    return FolderSource(path=f"{SOURCE_VOLUME}/{path}".rstrip("/"))


def source_access(source: Source, installation: Installation) -> SourceAccess:
    """Return what inspect and fetch are given to reach the source."""
    if source.persistent_volume_claim is not None:
        return SourceAccess(claim=source.persistent_volume_claim.claim_name)
    trust = {} if installation.ca_bundle is None else {"SSL_CERT_FILE": CA_BUNDLE_FILE}
    return SourceAccess(
        credentials=_credentials(source),
        ca_bundle=installation.ca_bundle,
        env={**installation.source_env, **trust},
    )


def source_name(source: Source) -> str:
    """Return what people call the source, for provenance."""
    if source.hugging_face is not None:
        return source.hugging_face.repository
    if source.s3 is not None:
        return source.s3.uri
    if source.oci is not None:
        return source.oci.reference
    claim = source.persistent_volume_claim
    return "" if claim is None else f"{claim.claim_name}/{claim.path}".rstrip("/")


def _hub(source: Source, installation: Installation) -> HubSource:
    hub = source.hugging_face
    if hub is None:
        message = "the source is no repository of a hub"
        raise ValueError(message)
    return HubSource(
        endpoint=installation.hub_endpoint,
        repository=hub.repository,
        revision=hub.revision,
        file=hub.file,
        include=hub.include,
        exclude=hub.exclude,
        token_file=None if hub.token_secret_ref is None else TOKEN_FILE,
    )


def _credentials(source: Source) -> SecretFiles | None:
    """Return the Secret's keys that the source needs."""
    if source.hugging_face is not None and source.hugging_face.token_secret_ref is not None:
        reference = source.hugging_face.token_secret_ref
        return SecretFiles(reference.name, {reference.key: TOKEN_FILE.rpartition("/")[2]})
    if source.s3 is not None and source.s3.credentials_secret_ref is not None:
        return SecretFiles(source.s3.credentials_secret_ref.name, {key: key for key in _S3_KEYS})
    if source.oci is not None and source.oci.pull_secret_ref is not None:
        file = PULL_SECRET_FILE.rpartition("/")[2]
        return SecretFiles(source.oci.pull_secret_ref.name, {_DOCKER_CONFIG: file})
    return None
