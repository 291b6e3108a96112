from qmodel.api.methods import Method
from qmodel.api.quantization import Quantization
from qmodel.planner.recipes import recipe
from qmodel.sizing import steps
from qmodel.sizing.llamacpp import LlamaCppMemory
from qmodel.sizing.load import Load
from unit.sizing.values import INSPECTION, MIB

GGUF = recipe(Quantization(method=Method.GGUF))
AWQ = recipe(Quantization(method=Method.AWQ))
FP8 = recipe(Quantization(method=Method.FP8))


def test_a_server_takes_its_weights_its_cache_and_more() -> None:
    found = LlamaCppMemory().estimate_peak_bytes(INSPECTION, 140 * MIB, Load(4096, 1), 0)
    assert (140 + 90) * MIB < found < 2 * (140 + 90) * MIB


def test_measuring_takes_a_server_and_the_worker() -> None:
    assert steps.measure_bytes(1000 * MIB) > (1000 + 128) * MIB


def test_making_gguf_does_not_grow_with_the_file() -> None:
    deeper = INSPECTION.model_copy(update={"parameters": 100 * INSPECTION.parameters})
    assert steps.quantize_bytes(GGUF, deeper, 0) == steps.quantize_bytes(GGUF, INSPECTION, 0)


def test_torch_holds_the_model() -> None:
    deeper = INSPECTION.model_copy(update={"parameters": 100 * INSPECTION.parameters})
    more = steps.quantize_bytes(FP8, deeper, 0) - steps.quantize_bytes(FP8, INSPECTION, 0)
    assert more >= 99 * 2 * INSPECTION.parameters


def test_calibration_takes_more_than_none() -> None:
    assert steps.quantize_bytes(AWQ, INSPECTION, 0) > steps.quantize_bytes(FP8, INSPECTION, 0)


def test_ranks_share_the_weights_and_have_libraries_of_their_own() -> None:
    one = steps.quantize_bytes(AWQ, INSPECTION, 1)
    two, three = (steps.quantize_bytes(AWQ, INSPECTION, count) for count in (2, 3))
    assert steps.quantize_bytes(AWQ, INSPECTION, 0) == one
    assert three - two == steps.RANK_BYTES
    shared = steps.quantize_shared_bytes(AWQ, INSPECTION, 2)
    assert 2 * 2 * INSPECTION.parameters < shared < two - 2 * steps.RANK_BYTES


def test_a_method_that_does_not_calibrate_has_one_rank() -> None:
    assert steps.quantize_bytes(FP8, INSPECTION, 2) == steps.quantize_bytes(FP8, INSPECTION, 1)
    assert steps.quantize_shared_bytes(FP8, INSPECTION, 2) == 0


def test_taking_a_source_as_it_is_takes_little() -> None:
    taken = recipe(Quantization(method=Method.NONE))
    assert steps.quantize_bytes(taken, INSPECTION, 0) == steps.LINK_BYTES


def test_judging_torch_artifacts_takes_more_than_judging_gguf() -> None:
    gguf = steps.evaluate_bytes(GGUF, INSPECTION, 140 * MIB)
    assert steps.evaluate_bytes(FP8, INSPECTION, 140 * MIB) > gguf + 1000 * MIB
