"""What takes the place of a kernel that some processors lack, on any processor."""

import json
from pathlib import Path

from e2e import pods
from e2e.models import Models

SCRIPT = Path(__file__).with_name("products_of_integers.py")
SECONDS = 180
"""vLLM's imports on two cores."""
CASES = 32


def test_unpacked_8_bit_weights_are_multiplied_rightly(
    models: Models, references: dict[str, str]
) -> None:
    """Scales of activations fixed or computed, with a zero point or without, weights fused or not.

    A wrong sign or scale is off by more than a tenth; 8 bits of the activations are by a hundredth.
    """
    container = {
        "name": "main",
        "image": references["vllm"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", SCRIPT.read_text()],
    }
    spec = {"restartPolicy": "Never", "containers": [container]}
    log = pods.run(models, "products", spec, SECONDS)
    found = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert len(found) == CASES
    assert [case for case in found if case["error"] > 0.02] == []
