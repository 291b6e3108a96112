"""Which module holds which backend: each image has the libraries of its own backends only."""

from importlib import import_module

from qmodel.api.methods import Backend
from qmodel.worker.backends import QuantizationBackend

MODULES = {
    Backend.LLM_COMPRESSOR: "llmcompressor",
    Backend.AUTO_AWQ: "autoawq",
    Backend.AUTO_GPTQ: "autogptq",
    Backend.BITS_AND_BYTES: "bitsandbytes",
    Backend.LLAMA_CPP: "llamacpp",
}


def load(backend: Backend) -> QuantizationBackend:
    """Return a backend, importing its library."""
    module = import_module(f"qmodel.worker.backends.{MODULES[backend]}")
    loaded: QuantizationBackend = getattr(module, backend.value)()
    return loaded
