from qmodel.worker.memory import evaluate_memory, quantize_memory

SMOLLM2 = {"base_bytes": 269_000_000, "vocabulary_size": 49_152, "kv_bytes_per_token": 23_040}


def test_the_mapped_source_is_no_part_of_the_least_limit() -> None:
    small = evaluate_memory(artifact_bytes=105_000_000, **SMOLLM2)
    large = evaluate_memory(artifact_bytes=105_000_000, **{**SMOLLM2, "base_bytes": 10**12})
    assert small.resident == large.resident
    assert large.mapped == 10**12


def test_quantizing_grows_with_a_tensor_and_not_with_the_model() -> None:
    assert quantize_memory(10**12, 10**9).resident == quantize_memory(10**9, 10**9).resident
