"""What vLLM's attention can do on a CPU.

Its image was asked (tests/e2e/attention_heads.py): a width that no kernel has passes vLLM's start,
and fails with the first request. Models whose cache holds a latent have kernels of their own.
"""

from qmodel.api.serving import KVCacheType
from qmodel.planner.hardware import Hardware
from qmodel.planner.kernels import ENGINE_CANNOT_LOAD
from qmodel.planner.problem import Problem
from qmodel.worker.task import KVLayout

HEAD_SIZES = (32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""Widths of a head that it is compiled for."""
FP8_MULTIPLE = 32


def problem(kv: KVLayout, kv_type: KVCacheType | None, device: Hardware) -> Problem | None:
    """Return why the attention of a model cannot be computed, or None.

    Parameters
    ----------
    kv
        What the cache holds.
    kv_type
        Type of the cache's elements that was asked for.
    device
        What is known of the hardware.
    """
    if device.gpus != 0:
        return None
    widths = (kind.key_head_dim for kind in kv.kinds() if kind.value_head_dim)
    return next(filter(None, (_width_problem(width, kv_type) for width in widths)), None)


def _width_problem(width: int, kv_type: KVCacheType | None) -> Problem | None:
    """Return why heads of a width cannot be computed, or None."""
    if width not in HEAD_SIZES:
        able = ", ".join(map(str, HEAD_SIZES))
        return ENGINE_CANNOT_LOAD, (
            f"the model's attention heads are {width} wide, but on a CPU vLLM computes heads of"
            f" {able}: use spec.accelerator.type GPU, or method GGUF"
        )
    if kv_type is KVCacheType.FP8 and width % FP8_MULTIPLE:
        return "CacheTypeDoesNotFit", (
            f"spec.serving.kvCacheType is FP8, but the model's attention heads are {width} wide:"
            f" on a CPU vLLM keeps FP8 of heads divisible by {FP8_MULTIPLE} only. Leave it out"
        )
    return None
