"""Where the model comes from: exactly one member of `source`."""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from qmodel.api.base import ApiModel, cel, rules

_MEMBERS = "huggingFace, persistentVolumeClaim, s3, oci"

ResourceName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
    ),
]
"""Name of a Kubernetes object."""

RelativePath = Annotated[
    str,
    Field(
        max_length=1024,
        json_schema_extra=rules(
            cel(
                "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
                "must be relative and must not contain '..'",
            )
        ),
    ),
]
"""A path below a volume or repository: relative, never climbing."""


Pattern = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[ -~]+$")]
"""A pattern over paths as shells have them: `*`, `?` and `[...]`, where `*` passes slashes."""

Patterns = Annotated[
    list[Pattern],
    Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
]


class SecretKeyRef(ApiModel):
    """One key of a Secret in the model's namespace."""

    name: ResourceName
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")] = "token"
    """Key within the Secret."""


class SecretRef(ApiModel):
    """A Secret in the model's namespace."""

    name: ResourceName
    """Name of the Secret."""


class HuggingFaceSource(ApiModel):
    """A repository of the Hugging Face endpoint that this installation is allowed to reach."""

    repository: Annotated[
        str,
        Field(
            min_length=3,
            max_length=200,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$",
        ),
    ]
    """Repository as owner/name."""
    revision: Annotated[
        str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
    ] = "main"
    """Branch, tag or commit; it is resolved to a commit once and pinned."""
    file: Annotated[RelativePath, Field(min_length=6, pattern=r"\.gguf$")] | None = None
    """One GGUF file of the repository, where it holds several."""
    include: Patterns | None = None
    """Files to look at, such as `Q4_K_M/*`; absent: all."""
    exclude: Patterns | None = None
    """Files to leave out, such as `*.fp16.safetensors`; stronger than `include`."""
    token_secret_ref: SecretKeyRef | None = None
    """Access token for a gated or private repository; only inspect and fetch see it."""


class PersistentVolumeClaimSource(ApiModel):
    """A folder of a claim in the model's namespace; it is only read."""

    claim_name: ResourceName
    """Name of the PersistentVolumeClaim."""
    path: RelativePath = ""
    """Folder (or one GGUF file) below the root of the volume."""


class S3Source(ApiModel):
    """Objects of a bucket, of AWS or of any server that speaks S3."""

    uri: Annotated[
        str,
        Field(
            max_length=1024,
            pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\x00-\x1f\x7f\\]*)?$",
        ),
    ]
    """`s3://bucket/prefix`: the objects directly below it, as a folder; or one .gguf object."""
    endpoint: (
        Annotated[str, Field(max_length=512, pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]+)?/?$")]
        | None
    ) = None
    """Address of the server; absent: AWS. http only where the installation allows it."""
    region: Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")] = "us-east-1"
    """Region that requests are signed for."""
    credentials_secret_ref: SecretRef | None = None
    """Secret with `accessKeyId`, `secretAccessKey` and perhaps `sessionToken`; absent: anonymous.
    Only inspect and fetch see it."""


class OCISource(ApiModel):
    """An artifact of a registry whose layers are the model's files, as `oras push` makes it."""

    reference: Annotated[
        str,
        Field(
            max_length=512,
            pattern=r"^[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
            r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$",
        ),
    ]
    """`registry/repository:tag`, or `@sha256:...` instead of a tag; it is resolved to a digest once
    and pinned. Without either, the tag is latest."""
    file: Annotated[RelativePath, Field(min_length=6, pattern=r"\.gguf$")] | None = None
    """One GGUF file of the artifact, where it holds several."""
    pull_secret_ref: SecretRef | None = None
    """Secret of type kubernetes.io/dockerconfigjson; absent: anonymous. Only inspect and fetch see
    it."""
    insecure: bool = False
    """Speak http to the registry; only where the installation allows it."""


class Source(ApiModel):
    """Where the model comes from; exactly one member is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "[has(self.huggingFace), has(self.persistentVolumeClaim), has(self.s3),"
                " has(self.oci)].filter(set, set).size() == 1",
                f"exactly one of {_MEMBERS} must be set",
            )
        )
    )

    hugging_face: HuggingFaceSource | None = None
    """A Hugging Face repository."""
    persistent_volume_claim: PersistentVolumeClaimSource | None = None
    """A folder of a PersistentVolumeClaim."""
    s3: S3Source | None = None
    """A folder of a bucket."""
    oci: OCISource | None = None
    """An artifact of an OCI registry."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        members = (self.hugging_face, self.persistent_volume_claim, self.s3, self.oci)
        if sum(member is not None for member in members) != 1:
            message = f"exactly one of {_MEMBERS} must be set"
            raise ValueError(message)
        return self
