"""Memory of llama-server: estimated from headers, then carried from one measurement.

Weights and most compute buffers do not depend on context and concurrency; the KV cache, the
attention mask and what a sequence holds for sampling do, and follow by arithmetic. SmolLM2-135M
measured with 512 tokens and one sequence predicts 2048 tokens and four sequences within 1.1%.
"""

from qmodel.engines.llamacpp import DEFAULT_KV_TYPE, UBATCH_TOKENS
from qmodel.sizing.kv_cache import kv_bytes_by_kind, slot_cells
from qmodel.sizing.load import Load
from qmodel.sizing.vocabulary import vocabulary_bytes
from qmodel.worker.report import Footprint, Inspection

SERVER_BYTES = 48 * 2**20
"""The server beyond its buffers: 28 to 57 MiB, its vocabulary aside."""
GPU_HOST_BYTES = 64 * 2**20
"""Host memory of CUDA for a GPU: 241 MiB in all where 196 are estimated without, on an H200."""
GPU_BYTES = 600 * 2**20
"""CUDA's own context and workspace on a GPU: 575 MiB there."""
ACTIVATION_WIDTHS = 20
"""Hidden widths alive at once for a token: the residual, attention, and a feed-forward layer."""
_FLOAT_BYTES = 4
_MASK_ELEMENT_BYTES = 2
"""The attention mask is F16 under flash attention (llama-graph.cpp, build_attn_inp_kq_mask)."""
_SAMPLING_BYTES = 32
"""Logit, candidate and their copies for one token of the vocabulary and one sequence.

1.4 MiB a sequence, measured with 49,152 tokens. It is added for more sequences, but not taken away
for fewer: too much memory is waste, too little is a killed server.
"""


class LlamaCppMemory:
    """The memory arithmetic of llama-server."""

    def kv_bytes(self, inspection: Inspection, load: Load) -> int:
        """Return the KV cache that the server is given."""
        return sum(_kv_bytes_by_kind(inspection, load))

    def estimate_peak_bytes(
        self, inspection: Inspection, weight_bytes: int, load: Load, gpus: int
    ) -> int:
        """Return weights, KV cache, compute buffers and the rest; no less for layers on GPUs."""
        return self._total_bytes(inspection, weight_bytes, load) + gpus * GPU_HOST_BYTES

    def estimate_device_bytes(
        self, inspection: Inspection, weight_bytes: int, load: Load, gpus: int
    ) -> int:
        """Return as much, and CUDA's own."""
        return self._total_bytes(inspection, weight_bytes, load) + gpus * GPU_BYTES

    def predict_peak_bytes(self, footprint: Footprint, inspection: Inspection, load: Load) -> int:
        """Return the peak of a server with this load, whose cache is of the measured type.

        On a GPU it is the device that holds cache and mask; a sequence's sampling is the host's.
        """
        more = max(0, load.concurrency - footprint.concurrency)
        sampling = more * inspection.vocabulary_size * _SAMPLING_BYTES
        on_host = 0 if footprint.device_bytes else self._growth(footprint, inspection, load)
        return footprint.peak_bytes + on_host + sampling

    def predict_device_bytes(self, footprint: Footprint, inspection: Inspection, load: Load) -> int:
        """Return what all layers, offloaded, take of the GPUs with this load; 0 on a CPU."""
        if not footprint.device_bytes:
            return 0
        return footprint.device_bytes + self._growth(footprint, inspection, load)

    def _total_bytes(self, inspection: Inspection, weight_bytes: int, load: Load) -> int:
        """Return what one server takes, wherever it lies."""
        rest_bytes = SERVER_BYTES + vocabulary_bytes(inspection)
        kv_bytes = self.kv_bytes(inspection, load)
        return weight_bytes + kv_bytes + _compute_bytes(inspection, load) + rest_bytes

    def _growth(self, footprint: Footprint, inspection: Inspection, load: Load) -> int:
        """Return how much more cache and mask this load takes than the measured one."""
        measured_load = Load(footprint.context_length, footprint.concurrency, load.kv_type)
        counted = _kv_bytes_by_kind(inspection, measured_load)
        kv = _as_measured(_kv_bytes_by_kind(inspection, load), counted, footprint.kv_bytes)
        fixed = max(0, footprint.kv_bytes - sum(counted))
        state = fixed * load.concurrency // footprint.concurrency
        return kv + state - footprint.kv_bytes + _mask_bytes(load) - _mask_bytes(measured_load)


def _kv_bytes_by_kind(inspection: Inspection, load: Load) -> list[int]:
    """Return the cache of each kind of layers."""
    kind = load.kv_type or DEFAULT_KV_TYPE
    return kv_bytes_by_kind(
        inspection.kv, load.context_length, load.concurrency, kind, UBATCH_TOKENS
    )


def _compute_bytes(inspection: Inspection, load: Load) -> int:
    """Return activations of one ubatch, its attention mask, and one row of logits a sequence."""
    activations = UBATCH_TOKENS * inspection.hidden_size * ACTIVATION_WIDTHS * _FLOAT_BYTES
    mask = UBATCH_TOKENS * slot_cells(load.context_length, load.concurrency) * _MASK_ELEMENT_BYTES
    logits = 2 * load.concurrency * inspection.vocabulary_size * _FLOAT_BYTES
    return activations + mask + logits


def _as_measured(wanted: list[int], counted: list[int], measured: int) -> int:
    """Return the cache in bytes, corrected where the layout counts more than the server took.

    A layout knows one width for each kind of layers: the largest, where they differ. Which kind
    was counted too wide is not told, so it is the one that grows least. What the server holds
    beyond the count is no cache but a state of fixed size a sequence, such as that of recurrent
    layers.
    """
    lacking, total = max(0, sum(counted) - measured), 0
    for will, was in sorted(zip(wanted, counted, strict=True), key=_growth_ratio):
        taken = was - min(was, lacking)
        lacking -= was - taken
        total += -(-will * taken // was) if was else 0
    return total


def _growth_ratio(cache: tuple[int, int]) -> float:
    """Return by what a cache grows from the second size to the first."""
    will, was = cache
    return will / was if was else 0


def _mask_bytes(load: Load) -> int:
    """Return the bytes of the attention mask."""
    cells = slot_cells(load.context_length, load.concurrency)
    return cells * min(UBATCH_TOKENS, cells * load.concurrency) * _MASK_ELEMENT_BYTES
