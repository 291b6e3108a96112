"""The files beside an artifact, as `qmodel.worker.show` prints them."""

import base64
import json
import zlib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from qmodel.worker.details import Details

MAX_TEXT_BYTES = 128 * 2**20
"""Most that is unpacked; the pod reads three files of at most 32 MiB."""


class Parameter(BaseModel):
    """One tensor of the artifact."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    dtype: str
    shape: list[int]
    bytes: int
    bits: float | None = None
    """Bits of a weight; absent: kept as it was."""


class ArtifactFiles(BaseModel):
    """The files, as far as they are there; what another version wrote more of is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    details: Details | None = Field(default=None, alias="details.json")
    parameters: list[Parameter] = Field(default_factory=list, alias="parameters.json")
    provenance: dict[str, Any] = Field(default_factory=dict, alias="provenance.json")


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
