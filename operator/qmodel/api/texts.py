"""Texts of the user: what models are calibrated with and judged on."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.source import RelativePath, ResourceName


class ConfigMapKeyRef(ApiModel):
    """One key of a ConfigMap in the model's namespace."""

    name: ResourceName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key within the ConfigMap."""


class VolumeFileRef(ApiModel):
    """One file of a claim in the model's namespace; it is only read."""

    claim_name: ResourceName
    """Name of the PersistentVolumeClaim."""
    path: Annotated[RelativePath, Field(min_length=1)]
    """File below the root of the volume."""


class TextSource(ApiModel):
    """A text of the user: plain text, passages separated by blank lines; exactly one member.

    The reference is part of what identifies a result: give a changed text a new name, as
    kustomize's configMapGenerator does.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.configMapRef) != has(self.persistentVolumeClaim)",
                "exactly one of configMapRef, persistentVolumeClaim must be set",
            )
        )
    )

    config_map_ref: ConfigMapKeyRef | None = None
    """A key of a ConfigMap."""
    persistent_volume_claim: VolumeFileRef | None = None
    """A file of a PersistentVolumeClaim."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.config_map_ref is None) == (self.persistent_volume_claim is None):
            message = "exactly one of configMapRef, persistentVolumeClaim must be set"
            raise ValueError(message)
        return self


class Calibration(ApiModel):
    """What the method observes the model with; without a text, the model draws samples itself."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!(has(self.configMapRef) && has(self.persistentVolumeClaim))",
                "at most one of configMapRef, persistentVolumeClaim may be set",
            )
        )
    )

    config_map_ref: ConfigMapKeyRef | None = None
    """A key of a ConfigMap: plain text, or JSON lines with `text` or `messages`."""
    persistent_volume_claim: VolumeFileRef | None = None
    """A file of a PersistentVolumeClaim, in the same formats."""
    samples: Annotated[int, Field(ge=16, le=4096)] | None = None
    """Sequences to use; absent: 128. Not used by GGUF, which reads the whole text."""
    max_sequence_length: Annotated[int, Field(ge=64, le=16_384)] | None = None
    """Longer sequences are cut, in tokens; absent: 512. Not used by GGUF."""

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if self.config_map_ref is not None and self.persistent_volume_claim is not None:
            message = "at most one of configMapRef, persistentVolumeClaim may be set"
            raise ValueError(message)
        return self

    @property
    def text(self) -> TextSource | None:
        """The user's text, if there is one."""
        if self.config_map_ref is None and self.persistent_volume_claim is None:
            return None
        return TextSource(
            config_map_ref=self.config_map_ref,
            persistent_volume_claim=self.persistent_volume_claim,
        )
