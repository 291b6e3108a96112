"""Memory of vLLM's server: estimated from headers, then carried from one measurement.

The KV cache is what the server is told to take, exactly; the rest depends on the model and on the
tokens computed at once. SmolLM2-135M measured with 512 tokens and 4 sequences predicts 2048 tokens
and other numbers of sequences within the margin (docs/engines.md).
"""

from qmodel.api.serving import DType, KVCacheType
from qmodel.engines.vllm import BATCH_TOKENS, BLOCK_TOKENS
from qmodel.sizing.load import Load
from qmodel.worker.report import Footprint, Inspection
from qmodel.worker.task import KVLayout

MIB = 2**20

PROCESSES_BYTES = 1100 * MIB
"""API server (535 MiB), engine core without a model (505), kernel memory (20)."""
GPU_HOST_BYTES = 900 * MIB
"""Libraries and driver of CUDA in the process of a GPU: 2054 MiB of the host in all with one H200,
measured with weights of 257 (docs/sizing.md)."""
GPU_BYTES = 900 * MIB
"""What no header tells of: CUDA's context, libraries and graphs. 780 to 830 MiB there."""
WEIGHT_COPIES = 2
"""Weights are packed while they are loaded: 441 MiB in memory for a file of 257, measured."""
UNPACKED_BYTES = 2
"""Of one weight on a CPU that has no kernel for what it is stored in (worker/vllm_unpacked.py)."""
ACTIVATION_WIDTHS = 60
"""Hidden widths alive at once for a token of a batch: 98 MiB for 2048 tokens of 576, measured."""
SAMPLING_BYTES = 64
"""Copies of the logit of one word for one sequence while tokens are drawn with every option: 61,
measured with 64 sequences and 49,152 words."""
LATENT_ROTARY_WIDTH = 64
"""Elements of a key that turn with its position in multi-head latent attention; else all may."""
_BATCHES_IN_FLIGHT = 2
"""On a GPU one batch is prepared while another is computed: a window keeps the tokens of both."""
_PADDED_SHARE = 1.5
"""Kinds of layers whose numbers differ by less share one group size (kv_cache_utils.py)."""
_ELEMENT_BYTES = {None: 2, KVCacheType.BF16: 2, KVCacheType.F16: 2, KVCacheType.FP8: 1}
"""Of one key or value; without a type it is that of the activations."""
_WIDE_BYTES = 4
"""Of one element in float32."""


def most_source_bytes(source: Inspection, footprint: Footprint, *, is_wide: bool) -> int:
    """Return the most that the weights of an unquantized source hold in memory.

    A CPU has them twice, as they were read and as they are packed, whatever the artifact that was
    measured has; a GPU once.

    Parameters
    ----------
    is_wide
        Whether they are held in float32.
    """
    copies = 1 if footprint.device_bytes else WEIGHT_COPIES
    return copies * (_WIDE_BYTES if is_wide else UNPACKED_BYTES) * source.parameters


class VLLMMemory:
    """The memory arithmetic of vLLM."""

    def kv_bytes(self, inspection: Inspection, load: Load) -> int:
        """Return the KV cache that the server is given: whole blocks, and one that each GPU keeps.

        Heads are split over the GPUs. Where they are fewer, each GPU holds one whole, as it does
        the latent of multi-head latent attention, which all heads share.

        All groups of layers take blocks of one pool, so that a block has the bytes of the widest
        layers; narrower ones keep more tokens in it (kv_cache_utils.py).
        """
        kinds = inspection.kv.kinds()
        width = _group_layers(inspection.kv)
        widest = max((_cell_bytes(kind, load) for kind in kinds), default=0)
        sequence = sum(
            -(-(kind.full_layers + kind.sliding_layers) // width) * _blocks(kind, load, widest)
            for kind in kinds
        )
        device_bytes = (load.concurrency * sequence + 1) * BLOCK_TOKENS * width * widest
        return device_bytes * load.tensor_parallel_size

    def estimate_peak_bytes(
        self, inspection: Inspection, weight_bytes: int, load: Load, gpus: int
    ) -> int:
        """Return processes, weights, tables, KV cache and activations, or what drawing takes.

        With GPUs, the host has the processes, and the files while they are read.
        """
        if gpus:
            return PROCESSES_BYTES + gpus * GPU_HOST_BYTES + weight_bytes
        unpacked = UNPACKED_BYTES * inspection.parameters
        weights = max(WEIGHT_COPIES * weight_bytes, unpacked)
        grows = self._cache_and_compute_bytes(inspection, load)
        return PROCESSES_BYTES + weights + _rotary_bytes(inspection, load) + grows

    def estimate_device_bytes(
        self, inspection: Inspection, weight_bytes: int, load: Load, gpus: int
    ) -> int:
        """Return the same, with weights once and CUDA's own; it packs weights in their place."""
        own = gpus * GPU_BYTES + _rotary_bytes(inspection, load)
        return own + weight_bytes + self._cache_and_compute_bytes(inspection, load)

    def predict_peak_bytes(self, footprint: Footprint, inspection: Inspection, load: Load) -> int:
        """Return the peak of a server with this load, whose cache is of the measured type.

        On a GPU it is the device that holds cache and activations, and the host's share stays as
        it was.
        """
        on_host = 0 if footprint.device_bytes else self._growth(footprint, inspection, load)
        return footprint.peak_bytes + on_host

    def predict_device_bytes(self, footprint: Footprint, inspection: Inspection, load: Load) -> int:
        """Return what a server with this load takes of its GPUs; 0 on a CPU."""
        if not footprint.device_bytes:
            return 0
        return footprint.device_bytes + self._growth(footprint, inspection, load)

    def _cache_and_compute_bytes(self, inspection: Inspection, load: Load) -> int:
        """Return what grows with the load, on all devices: each computes with whole rows."""
        activations = _activation_bytes(inspection, load.context_length * load.concurrency)
        compute = max(activations, _sampling_bytes(inspection, load.concurrency))
        return self.kv_bytes(inspection, load) + load.tensor_parallel_size * compute

    def _growth(self, footprint: Footprint, inspection: Inspection, load: Load) -> int:
        """Return how much more cache and activations this load takes than the measured one.

        Activations are added where the measurement could not fill a batch and this load can, but
        never taken away: too much memory is waste, too little is a killed server. They are gone
        when tokens are drawn, so that only the larger of both counts.
        """
        measured = footprint.compute_bytes
        measured_tokens = footprint.context_length * footprint.concurrency
        tokens = max(measured_tokens, load.context_length * load.concurrency)
        devices = load.tensor_parallel_size
        more = devices * (
            _activation_bytes(inspection, tokens) - _activation_bytes(inspection, measured_tokens)
        )
        sampling = devices * _sampling_bytes(inspection, load.concurrency)
        before = devices * _sampling_bytes(inspection, footprint.concurrency)
        compute = max(measured + more, min(sampling, measured + sampling - before))
        return self.kv_bytes(inspection, load) - footprint.kv_bytes + compute - measured


def _group_layers(layout: KVLayout) -> int:
    """Return the layers whose caches share one block.

    Layers of a kind are split into groups of one size, the last of them padded.
    """
    counts = sorted(filter(None, (layout.full_layers, layout.sliding_layers)))
    if not counts:
        return 1
    return counts[-1] if counts[-1] < _PADDED_SHARE * counts[0] else counts[0]


def _blocks(kind: KVLayout, load: Load, widest: int) -> int:
    """Return the blocks that hold a sequence's tokens in one group of layers of a kind.

    A window may begin anywhere in a block, so it takes one more.
    """
    tokens = _block_tokens(_cell_bytes(kind, load), widest)
    if not kind.sliding_layers:
        return -(-load.context_length // tokens)
    held = min(kind.window - 1 + _BATCHES_IN_FLIGHT * BATCH_TOKENS, load.context_length)
    return -(-held // tokens) + 1


def _block_tokens(cell_bytes: int, widest: int) -> int:
    """Return the tokens of a layer in a block; one that fits no whole times is padded."""
    whole = cell_bytes and widest % cell_bytes == 0
    return BLOCK_TOKENS * (widest // cell_bytes if whole else 1)


def _cell_bytes(layout: KVLayout, load: Load) -> int:
    """Return the bytes of one token's keys and values in one layer, on one device."""
    own = load.kv_type is None and load.dtype is DType.FLOAT32
    element_bytes = _WIDE_BYTES if own else _ELEMENT_BYTES[load.kv_type]
    heads = _device_heads(layout, load.tensor_parallel_size)
    return heads * (layout.key_head_dim + layout.value_head_dim) * element_bytes


def _device_heads(layout: KVLayout, devices: int) -> int:
    """Return the key-value heads of a layer that each device holds (config/model.py)."""
    return max(1, layout.kv_heads // devices) if layout.kv_heads else 0


def _rotary_bytes(inspection: Inspection, load: Load) -> int:
    """Return the sines and cosines of every position that the model was made for.

    Each device keeps a table for each kind of layers, whatever context is served
    (rotary_embedding/base.py).
    """
    width = sum(
        kind.key_head_dim if kind.value_head_dim else LATENT_ROTARY_WIDTH
        for kind in inspection.kv.kinds()
    )
    element_bytes = _WIDE_BYTES if load.dtype is DType.FLOAT32 else _ELEMENT_BYTES[None]
    return load.tensor_parallel_size * inspection.context_length * width * element_bytes


def _activation_bytes(inspection: Inspection, tokens: int) -> int:
    """Return what computing a batch takes, where that many tokens wait at most."""
    return min(tokens, BATCH_TOKENS) * inspection.hidden_size * ACTIVATION_WIDTHS * 2


def _sampling_bytes(inspection: Inspection, concurrency: int) -> int:
    """Return what drawing the next token of every sequence takes."""
    return concurrency * inspection.vocabulary_size * SAMPLING_BYTES
