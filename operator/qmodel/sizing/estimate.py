"""What steps and servers need before anything was measured: upper estimates from headers.

An estimate only has to be enough for the first try and not absurd: what serves is sized by the
measurement, and a step that was killed for memory is tried again with more.
"""

from qmodel.api.quantization import GGUFType, Method
from qmodel.api.serving import KVCacheType
from qmodel.engines.llamacpp import UBATCH_TOKENS
from qmodel.planner.model import Container
from qmodel.sizing.bits_per_weight import weight_bits
from qmodel.sizing.footprint import memory_limit_bytes
from qmodel.sizing.kv_cache import kv_cache_bytes, slot_cells
from qmodel.worker.report import Inspection

MIB = 2**20

INSPECT_BYTES = 256 * MIB
"""Python, the hub's client and headers of at most 100 MB."""
FETCH_BYTES = 512 * MIB
"""The same and a few download buffers; page cache of the files is reclaimed."""
WORKER_BYTES = 128 * MIB
"""The worker beside the server that it measures."""
CONVERTER_BYTES = 512 * MIB
"""Importing torch, transformers and the converter: 300 MiB, measured, and room for work."""
QUANTIZER_BYTES = 256 * MIB
"""Python with the bindings, and llama.cpp's work buffers."""
TENSOR_COPIES = 2
"""The largest tensor in float32 terms: half as read, one as float32, half as written."""
EVALUATOR_BYTES = 128 * MIB
"""Python with the bindings and numpy."""
EVALUATION_CONTEXT_TOKENS = 2048
EVALUATION_BATCH_TOKENS = 128
"""What the worker evaluates with: positions whose logits are held and compared at once."""
LOGIT_BYTES = 40
"""One logit of both models: as computed and as output (16), and compared in double precision."""
SERVER_BYTES = 48 * MIB
"""The server beyond its buffers: 28 to 57 MiB, its vocabulary aside."""
SMALL_TENSORS_SHARE = 1.005
"""Norms and biases stay in float32, and every tensor is aligned."""
VOCABULARY_FILE_BYTES = 64
VOCABULARY_BYTES = 256
"""Texts, scores and merges of one token, in a file and in a process."""
ACTIVATION_WIDTHS = 20
"""Hidden widths alive at once for a token: the residual, attention, and a feed-forward layer."""
FILE_SYSTEM_SHARE_PERCENT = 10
"""What a file system keeps for itself."""
VOLUME_SPARE_BYTES = 256 * MIB
"""Manifests, importance matrices, evaluation samples."""
_FLOAT_BYTES = 4
_BASE_WEIGHT_BYTES = 2


def estimate_artifact_bytes(
    inspection: Inspection, method: Method, gguf_type: GGUFType | None
) -> int:
    """Return the bytes of the artifact's weights, rather too many than too few."""
    if method is Method.NONE or gguf_type is None:
        return inspection.weight_bytes
    embedding = min(inspection.vocabulary_size * inspection.hidden_size, inspection.parameters)
    bits = weight_bits(gguf_type, inspection.hidden_size)
    total = embedding * bits.output + (inspection.parameters - embedding) * bits.mix
    vocabulary_bytes = inspection.vocabulary_size * VOCABULARY_FILE_BYTES
    return round(total / 8 * SMALL_TENSORS_SHARE) + vocabulary_bytes


def estimate_serve_bytes(
    inspection: Inspection,
    weight_bytes: int,
    context_length: int,
    concurrency: int,
    kv_type: KVCacheType,
) -> int:
    """Return the peak of one server: weights, KV cache, compute buffers and the rest."""
    kv_bytes = kv_cache_bytes(inspection.kv, context_length, concurrency, kv_type, UBATCH_TOKENS)
    compute_bytes = _compute_bytes(inspection, context_length, concurrency)
    rest_bytes = SERVER_BYTES + _vocabulary_bytes(inspection)
    return weight_bytes + kv_bytes + compute_bytes + rest_bytes


def estimate_step_memory(
    container: Container, inspection: Inspection | None, artifact_bytes: int, serve_bytes: int
) -> int:
    """Return the memory limit of a Job's container for its first try.

    Parameters
    ----------
    container
        Which task it carries out.
    inspection
        What is known of the source; only `inspect` and `fetch` do without.
    artifact_bytes
        Weights of the artifact, estimated or known.
    serve_bytes
        Estimated peak of the server; counts for `measure`.
    """
    if inspection is None or container is Container.INSPECT:
        return INSPECT_BYTES
    match container:
        case Container.FETCH:
            return FETCH_BYTES
        case Container.QUANTIZE:
            return _quantize_bytes(inspection)
        case Container.EVALUATE:
            return _evaluate_bytes(inspection, artifact_bytes)
        case Container.MEASURE:
            return memory_limit_bytes(serve_bytes) + WORKER_BYTES


def volume_bytes(inspection: Inspection, artifact_bytes: int) -> int:
    """Return the size of the model's volume.

    It holds the source, the unquantized model as one GGUF while it is made and evaluated, and two
    artifacts: a new revision is built beside the one that serves.
    """
    base = 0 if inspection.format == "gguf" else inspection.parameters * _BASE_WEIGHT_BYTES
    content = inspection.source_bytes + base + 2 * artifact_bytes
    total = content + content * FILE_SYSTEM_SHARE_PERCENT // 100 + VOLUME_SPARE_BYTES
    return -(-total // MIB) * MIB


def _quantize_bytes(inspection: Inspection) -> int:
    """Return what converting takes; quantizing, which follows, takes less.

    It depends on the largest tensor and not on the file, which is worked through in pieces.
    """
    largest = inspection.vocabulary_size * inspection.hidden_size * _FLOAT_BYTES
    own = QUANTIZER_BYTES if inspection.format == "gguf" else CONVERTER_BYTES
    return own + TENSOR_COPIES * largest + _vocabulary_bytes(inspection)


def _evaluate_bytes(inspection: Inspection, artifact_bytes: int) -> int:
    """Return both models with their contexts, and the logits that are compared."""
    base = inspection.parameters * _BASE_WEIGHT_BYTES
    logits = EVALUATION_BATCH_TOKENS * inspection.vocabulary_size * LOGIT_BYTES
    cache = kv_cache_bytes(
        inspection.kv, EVALUATION_CONTEXT_TOKENS, 1, KVCacheType.F16, EVALUATION_BATCH_TOKENS
    )
    vocabularies = 2 * _vocabulary_bytes(inspection)
    return EVALUATOR_BYTES + base + artifact_bytes + logits + 2 * cache + vocabularies


def _compute_bytes(inspection: Inspection, context_length: int, concurrency: int) -> int:
    """Return activations of one ubatch, its attention mask, and one row of logits a sequence."""
    activations = UBATCH_TOKENS * inspection.hidden_size * ACTIVATION_WIDTHS * _FLOAT_BYTES
    mask = UBATCH_TOKENS * slot_cells(context_length, concurrency) * 2
    logits = 2 * concurrency * inspection.vocabulary_size * _FLOAT_BYTES
    return activations + mask + logits


def _vocabulary_bytes(inspection: Inspection) -> int:
    """Return what the vocabulary takes in a process."""
    return inspection.vocabulary_size * VOCABULARY_BYTES
