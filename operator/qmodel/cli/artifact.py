"""The files beside an artifact, as `qmodel.worker.show` prints them."""

import base64
import json
import zlib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from qmodel.worker.details import Details
from qmodel.worker.parameters import Parameter, Parameters

MAX_TEXT_BYTES = 128 * 2**20
"""Most that is unpacked; the pod reads three files of at most 32 MiB."""


class ArtifactFiles(BaseModel):
    """The files, as far as they are there; what another version wrote more of is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    details: Details | None = Field(default=None, alias="details.json")
    listed: Parameters = Field(default=Parameters(parameters=[]), alias="parameters.json")
    provenance: dict[str, Any] = Field(default_factory=dict, alias="provenance.json")

    @property
    def parameters(self) -> list[Parameter]:
        """Every parameter of the artifact; none where they are not known."""
        return self.listed.parameters


class _Shown(BaseModel):
    """The line that is printed."""

    files: str


def unpack(log: str) -> ArtifactFiles:
    """Return the files that a log ends with.

    Raises
    ------
    ValueError
        It does not end with them, or they do not fit this version.
    """
    lines = log.strip().splitlines()
    try:
        shown = _Shown.model_validate_json(lines[-1] if lines else "")
        packed = base64.b64decode(shown.files, validate=True)
        text = zlib.decompressobj().decompress(packed, MAX_TEXT_BYTES)
    except (zlib.error, ValueError) as error:
        message = f"the pod's log does not end with the files: {lines[-1:]}"
        raise ValueError(message) from error
    return ArtifactFiles.model_validate(json.loads(text), extra="ignore")
