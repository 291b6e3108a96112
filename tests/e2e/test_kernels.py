"""Computations of libraries that we replace, run in their images beside what they stand for."""

import json
from pathlib import Path

from e2e import pods
from e2e.kube import Object
from e2e.models import Models

FOLDER = Path(__file__).parent
SECONDS = 180
"""A library's imports on two cores."""


def _lines(models: Models, image: str, script: str) -> list[Object]:
    """Return what a script of this folder tells."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", (FOLDER / script).read_text()],
    }
    spec = {"restartPolicy": "Never", "containers": [container]}
    log = pods.run(models, script.partition(".")[0].replace("_", "-"), spec, SECONDS)
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def test_unpacked_8_bit_weights_are_multiplied_rightly(
    models: Models, references: dict[str, str]
) -> None:
    """Scales of activations fixed or computed, with a zero point or without, weights fused or not.

    A wrong sign or scale is off by more than a tenth; 8 bits of the activations are by a hundredth.
    """
    found = _lines(models, references["vllm"], "products_of_integers.py")
    assert len(found) == 2**5
    assert [case for case in found if case["error"] > 0.02] == []


def test_autoawq_clips_as_the_library_would(models: Models, references: dict[str, str]) -> None:
    found = _lines(models, references["autoawq"], "clipping.py")
    assert len(found) == 3
    assert [each for each in found if each["clipped"] < 0.1] == [], "nothing was to be found"
    assert [each for each in found if each["alike"] < 0.99] == [], "ties may fall either way"
