"""Memory of the Jobs' containers for their first try, from headers.

An estimate only has to be enough for the first try and not absurd: what serves is sized by the
measurement, and a step that was killed for memory is tried again with more.
"""

from qmodel.api.methods import Backend, Method
from qmodel.api.serving import KVCacheType
from qmodel.sizing.artifact import BASE_WEIGHT_BYTES
from qmodel.sizing.kv_cache import kv_cache_bytes
from qmodel.sizing.margin import memory_limit_bytes
from qmodel.sizing.vocabulary import vocabulary_bytes
from qmodel.worker.report import Inspection
from qmodel.worker.task import CalibrationTask, Recipe

MIB = 2**20

INSPECT_BYTES = 384 * MIB
"""Python, the hub's client and headers of at most 100 MB: 260 MiB for 220,000 tensors, measured."""
FETCH_BYTES = 512 * MIB
"""The same and a few download buffers; page cache of the files is reclaimed."""
LINK_BYTES = 256 * MIB
"""Python, and buffers for hashing files that are taken as they are."""
WORKER_BYTES = 128 * MIB
"""The worker beside the server that it measures."""
CONVERTER_BYTES = 512 * MIB
"""Importing torch, transformers and the converter: 300 MiB, measured, and room for work."""
TENSOR_COPIES = 2
"""The largest tensor in float32 terms: half as read, one as float32, half as written."""
TORCH_BYTES = 1200 * MIB
"""Importing torch, transformers and a library that quantizes."""
ACTIVATION_COPIES = 6
"""Hidden states of every sample between two layers, with what one layer makes of them."""
EVALUATOR_BYTES = 128 * MIB
"""Python with llama.cpp's bindings and numpy."""
EVALUATION_CONTEXT_TOKENS = 2048
EVALUATION_BATCH_TOKENS = 128
"""What the worker evaluates with: positions whose logits are held and compared at once."""
LOGIT_BYTES = 40
"""One logit of both models: as computed and as output (16), and compared in double precision."""
RANK_BYTES = TORCH_BYTES + 1024 * MIB
"""One of several processes: the libraries, and room for an accelerator's driver."""
EXCHANGE_BYTES = 1024 * MIB
"""What ranks exchange through shared memory, besides weights."""
_FLOAT_BYTES = 4


def quantize_bytes(recipe: Recipe, inspection: Inspection, accelerator_count: int) -> int:
    """Return what making the artifact takes, shared memory included."""
    if recipe.backend is None:
        return LINK_BYTES
    if recipe.backend is Backend.LLAMA_CPP:
        return _convert_bytes(inspection)
    work = _weights_at_work_bytes(inspection) + _calibration_bytes(recipe.calibration, inspection)
    ranks = rank_count(recipe, accelerator_count)
    several = ranks * RANK_BYTES + EXCHANGE_BYTES if ranks > 1 else 0
    return TORCH_BYTES + work + several


def rank_count(recipe: Recipe, accelerator_count: int) -> int:
    """Return how many processes at most share the calibration, one for each accelerator."""
    calibrates = recipe.backend is Backend.LLM_COMPRESSOR and recipe.calibration is not None
    return max(1, accelerator_count) if calibrates else 1


def quantize_shared_bytes(recipe: Recipe, inspection: Inspection, accelerator_count: int) -> int:
    """Return what of its memory the Job shares among its processes; 0 where there is but one."""
    if rank_count(recipe, accelerator_count) == 1:
        return 0
    return _weights_at_work_bytes(inspection) + EXCHANGE_BYTES


def evaluate_bytes(recipe: Recipe, inspection: Inspection, artifact_bytes: int) -> int:
    """Return both models with their contexts, and the logits that are compared."""
    base = inspection.parameters * BASE_WEIGHT_BYTES
    logits = EVALUATION_BATCH_TOKENS * inspection.vocabulary_size * LOGIT_BYTES
    cache = kv_cache_bytes(
        inspection.kv, EVALUATION_CONTEXT_TOKENS, 1, KVCacheType.F16, EVALUATION_BATCH_TOKENS
    )
    vocabularies = 2 * vocabulary_bytes(inspection)
    models = base + artifact_bytes + logits + 2 * cache + vocabularies
    if recipe.method is Method.GGUF:
        return EVALUATOR_BYTES + models
    # A layer whose kernels this machine lacks is unpacked to be computed.
    return TORCH_BYTES + models + base


def measure_bytes(serve_bytes: int) -> int:
    """Return what a server with this estimated peak takes, and the worker beside it."""
    return memory_limit_bytes(serve_bytes) + WORKER_BYTES


def _convert_bytes(inspection: Inspection) -> int:
    """Return what converting takes; quantizing, which follows, takes less.

    It depends on the largest tensor and not on the file, which is worked through in pieces.
    """
    largest = inspection.vocabulary_size * inspection.hidden_size * _FLOAT_BYTES
    return CONVERTER_BYTES + TENSOR_COPIES * largest + vocabulary_bytes(inspection)


def _weights_at_work_bytes(inspection: Inspection) -> int:
    """Return the weights as they are read and, beside them, as they become."""
    return 2 * inspection.parameters * BASE_WEIGHT_BYTES


def _calibration_bytes(calibration: CalibrationTask | None, inspection: Inspection) -> int:
    """Return the hidden states of all samples, kept between layers."""
    if calibration is None:
        return 0
    tokens = calibration.samples * calibration.max_sequence_length
    return tokens * inspection.hidden_size * ACTIVATION_COPIES * BASE_WEIGHT_BYTES
