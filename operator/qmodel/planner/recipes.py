"""From `spec.quantization` to the recipe that the worker is told, every default filled in."""

from qmodel.api.methods import AWQOptions, Backend, BitsAndBytesOptions, GPTQOptions, Method
from qmodel.api.quantities import bytes_of
from qmodel.api.quantization import Quantization
from qmodel.planner.once import once
from qmodel.worker.task import CALIBRATION_FILE, CalibrationTask, Recipe

DEFAULT_IGNORE = ("lm_head",)
"""The head makes logits of everything before it: quantizing it costs most and saves little."""


@once
def recipe(spec: Quantization) -> Recipe:
    """Return how the artifact is made."""
    method = spec.method
    return Recipe(
        method=method,
        backend=spec.chosen_backend,
        awq=(spec.awq or AWQOptions()) if method is Method.AWQ else None,
        gptq=_gptq(spec) if method is Method.GPTQ else None,
        bits_and_bytes=(
            (spec.bits_and_bytes or BitsAndBytesOptions())
            if method is Method.BITS_AND_BYTES
            else None
        ),
        gguf=spec.gguf_options if method is Method.GGUF else None,
        ignore=_ignored(spec),
        calibration=_calibration(spec),
        max_shard_bytes=bytes_of(spec.max_shard_size),
    )


def _gptq(spec: Quantization) -> GPTQOptions:
    """Return the options with the order of columns that serves as fast as none."""
    options = spec.gptq or GPTQOptions()
    if options.desc_act_order is not None:
        return options
    static = spec.chosen_backend is Backend.LLM_COMPRESSOR
    return options.model_copy(update={"desc_act_order": static})


def _ignored(spec: Quantization) -> list[str]:
    """Return the modules that stay as they are."""
    if spec.method in (Method.GGUF, Method.NONE):
        return []
    return list(DEFAULT_IGNORE) if spec.ignore is None else spec.ignore


def _calibration(spec: Quantization) -> CalibrationTask | None:
    """Return what the method observes the model with, if it does."""
    if not spec.calibrates:
        return None
    asked = spec.calibration
    if asked is None:
        return CalibrationTask()
    given = {"samples": asked.samples, "max_sequence_length": asked.max_sequence_length}
    told = {name: value for name, value in given.items() if value is not None}
    return CalibrationTask(file=None if asked.text is None else CALIBRATION_FILE, **told)
