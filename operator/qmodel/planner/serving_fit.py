"""What of `spec.serving` the engine that will serve cannot do."""

from qmodel.api.engine_options import LLAMA_CPP_ARGUMENTS, VLLM_ARGUMENTS, refused
from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import DType, Engine
from qmodel.api.status import SourceStatus
from qmodel.engines import ENGINES
from qmodel.planner.context import Context
from qmodel.planner.engine import engine_of, reader_of, server_settings
from qmodel.planner.problem import Problem

_ARGUMENTS = {Engine.LLAMA_CPP: LLAMA_CPP_ARGUMENTS, Engine.VLLM: VLLM_ARGUMENTS}
_DECIDED_BY = {"OMP_NUM_THREADS": "spec.serving.cpu"}
"""Fields that variables of the engines follow."""


def problem(model: QuantizedModel, source: SourceStatus) -> Problem | None:
    """Return the reason and the message why this cannot be served as asked, or None."""
    return (
        _context(model, source)
        or _engine(model, source)
        or _recurrent(model, source)
        or _kv_type(model, source)
        or _vllm_only(model, source)
        or _too_few_gpus(model)
        or _arguments(model, source)
    )


def _context(model: QuantizedModel, source: SourceStatus) -> Problem | None:
    """Return why the sequences are too long."""
    asked = model.spec.serving.context_length
    if asked is None or asked <= source.context_length:
        return None
    return "ContextTooLong", (
        f"spec.serving.contextLength is {asked}, but the model was made for at most "
        f"{source.context_length} tokens"
    )


def _engine(model: QuantizedModel, source: SourceStatus) -> Problem | None:
    """Return why the engine that was asked for does not read the artifact."""
    asked, able = model.spec.serving.engine, reader_of(model.spec.quantization.method, source)
    if asked is None or asked is able:
        return None
    kind = "GGUF files" if able is Engine.LLAMA_CPP else "safetensors"
    return "EngineDoesNotFit", (
        f"spec.serving.engine is {asked}, but what is served are {kind}, which {able} reads: "
        f"use {able} or leave it out"
    )


def _recurrent(model: QuantizedModel, source: SourceStatus) -> Problem | None:
    """Return why vLLM would refuse the cache that it is given, or hold fewer sequences in it.

    It keeps the state of recurrent layers in blocks of the cache, which it makes larger for that.
    """
    layers = source.kv.recurrent_layers
    if not layers or engine_of(model, source) is Engine.LLAMA_CPP:
        return None
    return "EngineDoesNotFit", (
        f"{layers} of the model's layers are recurrent (Mamba, gated delta nets and the like), and "
        "what vLLM's cache takes for them is not counted yet: use spec.quantization.method GGUF, "
        "which llama.cpp serves"
    )


def _kv_type(model: QuantizedModel, source: SourceStatus) -> Problem | None:
    """Return why the cache cannot have the type that was asked for."""
    asked, engine = model.spec.serving.kv_cache_type, engine_of(model, source)
    able = ENGINES[engine].kv_types
    if asked is None or asked in able:
        return None
    return "CacheTypeDoesNotFit", (
        f"spec.serving.kvCacheType is {asked}, but {engine} offers {', '.join(able)}"
    )


def _vllm_only(model: QuantizedModel, source: SourceStatus) -> Problem | None:
    """Return which field only vLLM obeys."""
    serving = model.spec.serving
    if engine_of(model, source) is not Engine.LLAMA_CPP:
        return None
    if serving.dtype is not DType.AUTO:
        return "EngineDoesNotFit", (
            f"spec.serving.dtype is {serving.dtype}, but llama.cpp serves, which computes in "
            "the types of its file: leave it out"
        )
    if serving.tensor_parallel_size is not None:
        message = "spec.serving.tensorParallelSize is set, but llama.cpp serves: leave it out"
        return "EngineDoesNotFit", message
    return None


def _too_few_gpus(model: QuantizedModel) -> Problem | None:
    """Return why a layer cannot be split over as many GPUs as was asked for."""
    wanted, gpus = model.spec.serving.tensor_parallel_size, model.spec.accelerator.count
    if wanted is not None and wanted > gpus:
        return "TooFewGPUs", (
            f"spec.serving.tensorParallelSize is {wanted}, but spec.accelerator.count is {gpus}"
        )
    return None


def _arguments(model: QuantizedModel, source: SourceStatus) -> Problem | None:
    """Return which arguments the engine may not be given; the API refuses those of neither."""
    engine = engine_of(model, source)
    found = refused(model.spec.serving.extra_args or (), _ARGUMENTS[engine])
    if not found:
        return None
    return "ArgumentsNotAllowed", (
        f"spec.serving.extraArgs has {', '.join(found)}, which {engine} may not be given here: "
        "docs/engines.md lists what is allowed, each written in full"
    )


def variables_problem(ctx: Context, source: SourceStatus) -> Problem | None:
    """Return which of the user's variables the operator sets to something else.

    Which ones it sets depends on the engine and on the accelerator: before that is chosen, this is
    not judged. A server would not get the user's value.
    """
    if ctx.status.accelerator is None:
        return None
    engine = engine_of(ctx.model, source)
    own = ENGINES[engine].environment(server_settings(ctx, source, ""))
    asked = ctx.model.spec.serving.env or ()
    names = [each.name for each in asked if own.get(each.name, each.value) != each.value]
    if not names:
        return None
    where = "a GPU" if ctx.status.accelerator.count else "a CPU"
    fields = [f"; {name} follows {_DECIDED_BY[name]}" for name in names if name in _DECIDED_BY]
    return "VariablesNotAllowed", (
        f"spec.serving.env has {', '.join(names)}, which the operator sets itself for {engine} on "
        f"{where}: leave {'it' if len(names) == 1 else 'them'} out{''.join(fields)}"
    )
