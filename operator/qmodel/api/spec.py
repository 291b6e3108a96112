"""`spec`: what users write."""

from pydantic import Field

from qmodel.api.base import ApiModel
from qmodel.api.quality import QualityGate
from qmodel.api.quantization import Quantization
from qmodel.api.serving import Accelerator, Serving, Storage
from qmodel.api.source import Source


class QuantizedModelSpec(ApiModel):
    """What to serve, how small, how good, on what."""

    source: Source
    """Where the unquantized model comes from."""
    quantization: Quantization
    """How it is quantized."""
    quality_gate: QualityGate = Field(default_factory=QualityGate)
    """How good the result must be."""
    serving: Serving = Field(default_factory=Serving)
    """How it is served."""
    accelerator: Accelerator = Field(default_factory=Accelerator)
    """What it runs on."""
    storage: Storage = Field(default_factory=Storage)
    """Where it is stored."""
    suspend: bool = False
    """True stops new work and keeps what runs."""
