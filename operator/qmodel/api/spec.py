"""`spec`: what users write."""

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.methods import Method
from qmodel.api.quality import QualityGate
from qmodel.api.quantization import Quantization
from qmodel.api.serving import Accelerator, Engine, Serving, Storage
from qmodel.api.source import Source

_ENGINE_MESSAGE = (
    "serving.engine LlamaCpp serves method GGUF, and VLLM all others; of method None either may"
)


class QuantizedModelSpec(ApiModel):
    """What to serve, how small, how good, on what."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.serving) || !has(self.serving.engine)"
                " || self.quantization.method == 'None'"
                " || (self.quantization.method == 'GGUF') == (self.serving.engine == 'LlamaCpp')",
                _ENGINE_MESSAGE,
            )
        )
    )

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

    @model_validator(mode="after")
    def _engine_reads_the_method(self) -> Self:
        method, engine = self.quantization.method, self.serving.engine
        if engine is None or method is Method.NONE:
            return self
        if (method is Method.GGUF) != (engine is Engine.LLAMA_CPP):
            raise ValueError(_ENGINE_MESSAGE)
        return self
