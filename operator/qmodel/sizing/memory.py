"""What a server of each engine takes: estimated before it was measured, predicted after."""

from collections.abc import Mapping
from typing import Protocol

from qmodel.api.serving import Engine
from qmodel.sizing.llamacpp import LlamaCppMemory
from qmodel.sizing.load import Load
from qmodel.sizing.vllm import VLLMMemory
from qmodel.worker.report import Footprint, Inspection


class MemoryModel(Protocol):
    """The memory arithmetic of one engine; all results are bytes."""

    def kv_bytes(self, inspection: Inspection, load: Load) -> int:
        """Return the KV cache that the server is given, on all its devices together."""

    def estimate_peak_bytes(
        self, inspection: Inspection, weight_bytes: int, load: Load, gpus: int
    ) -> int:
        """Return the host's share of one server before anything was measured, rather too much.

        It is all of it where `gpus`, on which all layers lie, is 0.
        """

    def estimate_device_bytes(
        self, inspection: Inspection, weight_bytes: int, load: Load, gpus: int
    ) -> int:
        """Return the share of all its GPUs together, likewise."""

    def predict_peak_bytes(self, footprint: Footprint, inspection: Inspection, load: Load) -> int:
        """Return the host's share of one server, carried from one measurement to this load."""

    def predict_device_bytes(self, footprint: Footprint, inspection: Inspection, load: Load) -> int:
        """Return the share of all its GPUs together, likewise; 0 on a CPU."""


MEMORY: Mapping[Engine, MemoryModel] = {
    Engine.LLAMA_CPP: LlamaCppMemory(),
    Engine.VLLM: VLLMMemory(),
}
"""The arithmetic of each engine."""
