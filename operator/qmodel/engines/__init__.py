"""What the operator knows of each engine: arguments, ports and paths. Pure, and shared by all."""

from collections.abc import Mapping

from qmodel.api.serving import Engine
from qmodel.engines.base import ServerSettings, ServingEngine
from qmodel.engines.llamacpp import LlamaCpp
from qmodel.engines.vllm import VLLM

__all__ = ["ENGINES", "ServerSettings", "ServingEngine"]

ENGINES: Mapping[Engine, ServingEngine] = {
    Engine.LLAMA_CPP: LlamaCpp(),
    Engine.VLLM: VLLM(),
}
"""How each engine is started and asked for its health."""
