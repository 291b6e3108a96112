"""Which engine serves, told what."""

from qmodel.api.methods import Method
from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import Engine
from qmodel.api.status import SourceStatus
from qmodel.engines import ServerSettings
from qmodel.planner.context import Context
from qmodel.sizing.load import Load
from qmodel.sizing.memory import MEMORY
from qmodel.sizing.processors import SERVER_CPU, threads

DEFAULT_CONTEXT_LENGTH = 4096
"""Tokens a sequence where the user asks for none and the model has at least as many."""


def context_length(model: QuantizedModel, source: SourceStatus) -> int:
    """Return the tokens of one sequence: as asked, else the model's own within the default."""
    asked = model.spec.serving.context_length
    return asked or min(source.context_length, DEFAULT_CONTEXT_LENGTH)


def engine_of(model: QuantizedModel, source: SourceStatus | None) -> Engine:
    """Return what serves: as asked, else what serves the method's artifacts."""
    return model.spec.serving.engine or reader_of(model.spec.quantization.method, source)


def reader_of(method: Method, source: SourceStatus | None) -> Engine:
    """Return the engine that reads what a method makes; None makes what the source is."""
    taken = method is Method.NONE and source is not None and source.format == "gguf"
    return Engine.LLAMA_CPP if method is Method.GGUF or taken else Engine.VLLM


def load_of(model: QuantizedModel, source: SourceStatus, gpus: int) -> Load:
    """Return what one server on so many GPUs holds when it is used to the full."""
    serving = model.spec.serving
    return Load(
        context_length=context_length(model, source),
        concurrency=serving.concurrency,
        kv_type=serving.kv_cache_type,
        dtype=serving.dtype,
        tensor_parallel_size=tensor_parallel_size(serving.tensor_parallel_size, gpus),
    )


def server_settings(ctx: Context, source: SourceStatus, model_path: str) -> ServerSettings:
    """Return what the server's command line is made from."""
    serving = ctx.model.spec.serving
    gpus = gpu_count(ctx)
    load = load_of(ctx.model, source, gpus)
    return ServerSettings(
        model_path=model_path,
        alias=ctx.model.name,
        context_length=load.context_length,
        concurrency=load.concurrency,
        kv_bytes=MEMORY[engine_of(ctx.model, source)].kv_bytes(source, load),
        kv_type=load.kv_type,
        dtype=load.dtype,
        gpus=gpus,
        tensor_parallel_size=load.tensor_parallel_size,
        threads=threads(server_cpu(ctx.model)),
        extra_args=tuple(serving.extra_args or ()),
    )


def server_cpu(model: QuantizedModel) -> str:
    """Return the CPU request of one server, and of measuring it."""
    return model.spec.serving.cpu or SERVER_CPU


def gpu_count(ctx: Context) -> int:
    """Return the GPUs of one server; 0 on a CPU."""
    return 0 if ctx.status.accelerator is None else ctx.status.accelerator.count


def tensor_parallel_size(asked: int | None, gpus: int) -> int:
    """Return the GPUs that each layer is split over: as asked, else all; 1 on a CPU."""
    return (asked or gpus) if gpus else 1


def computing_gpus(model: QuantizedModel, source: SourceStatus, gpus: int) -> int:
    """Return the GPUs of one server that hold a share of it: vLLM splits it over those it is told.

    llama.cpp spreads layers over all.
    """
    if engine_of(model, source) is Engine.LLAMA_CPP or not gpus:
        return gpus
    return tensor_parallel_size(model.spec.serving.tensor_parallel_size, gpus)
