"""Which image does what, and what to say where the installation names none for it.

Only the operator's own has to be named: a cluster without GPUs needs none for them, and who makes
nothing but GGUF needs no vLLM.
"""

from collections.abc import Iterable

from qmodel.api.methods import Backend
from qmodel.api.serving import Engine
from qmodel.planner.installation import Images
from qmodel.planner.problem import Problem

IMAGE_NOT_CONFIGURED = "ImageNotConfigured"


def serves(engine: Engine, gpus: int) -> str:
    """Return the name of the image that serves and measures."""
    if engine is Engine.LLAMA_CPP:
        return "llamacpp_cuda" if gpus else "llamacpp"
    return "vllm_cuda" if gpus else "vllm"


def quantizes(backend: Backend | None) -> str:
    """Return the name of the image that makes the artifact.

    To take a source as it is, the smallest will do.
    """
    match backend:
        case None | Backend.LLAMA_CPP:
            return "llamacpp_worker"
        case Backend.AUTO_AWQ:
            return "autoawq"
        case Backend.AUTO_GPTQ:
            return "autogptq"
        case Backend.LLM_COMPRESSOR | Backend.BITS_AND_BYTES:
            return "quantizer"


def evaluates(backend: Backend | None) -> str:
    """Return the name of the image that loads the artifact back, whichever library made it."""
    return "llamacpp_worker" if backend is Backend.LLAMA_CPP else "quantizer"


def chart_value(name: str) -> str:
    """Return the chart's value that names an image."""
    first, *others = name.split("_")
    return f"images.{first}{''.join(word.title() for word in others)}"


def problem(images: Images, needed: Iterable[str]) -> Problem | None:
    """Return which of the needed images the installation does not name."""
    missing = [chart_value(name) for name in dict.fromkeys(needed) if not images.named(name)]
    if not missing:
        return None
    advice = "set spec.accelerator.type to CPU, or " if missing[-1].endswith("Cuda") else ""
    return IMAGE_NOT_CONFIGURED, (
        f"this model needs {' and '.join(missing)}, which the installation of the operator does not"
        f" name: {advice}build and push what is missing, and name it in the chart's values"
    )
