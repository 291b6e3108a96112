"""Where the unquantized model comes from: exactly one member of `source`."""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from qmodel.api.base import ApiModel, cel, rules

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


class SecretKeyRef(ApiModel):
    """One key of a Secret in the model's namespace."""

    name: ResourceName
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")] = "token"
    """Key within the Secret."""


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
    token_secret_ref: SecretKeyRef | None = None
    """Access token for a gated or private repository; only inspect and fetch see it."""


class PersistentVolumeClaimSource(ApiModel):
    """A folder of a claim in the model's namespace; it is only read."""

    claim_name: ResourceName
    """Name of the PersistentVolumeClaim."""
    path: RelativePath = ""
    """Folder (or one GGUF file) below the root of the volume."""


class Source(ApiModel):
    """Where the model comes from; exactly one member is set."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "[has(self.huggingFace), has(self.persistentVolumeClaim)]"
                ".filter(set, set).size() == 1",
                "exactly one of huggingFace, persistentVolumeClaim must be set",
            )
        )
    )

    hugging_face: HuggingFaceSource | None = None
    """A Hugging Face repository."""
    persistent_volume_claim: PersistentVolumeClaimSource | None = None
    """A folder of a PersistentVolumeClaim."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        if (self.hugging_face is None) == (self.persistent_volume_claim is None):
            message = "exactly one of huggingFace, persistentVolumeClaim must be set"
            raise ValueError(message)
        return self
