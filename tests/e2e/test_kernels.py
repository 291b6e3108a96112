"""What we say and replace of libraries, run in their images beside the libraries themselves."""

import json
from pathlib import Path

import pytest

from e2e import pods
from e2e.kube import Object
from e2e.models import Models
from qmodel.api.gguf import NEEDS_IMPORTANCE_MATRIX, GGUFType
from qmodel.planner.cpu_attention import FP8_MULTIPLE, HEAD_SIZES
from qmodel.planner.torch_models import LOADED
from qmodel.worker.legacy_limits import MODEL_TYPES

FOLDER = Path(__file__).parent
SECONDS = 240
"""A library's imports on two cores, beside those of the others."""
SCRIPTS = (
    ("products_of_integers.py", "vllm"),
    ("products_of_floats.py", "vllm"),
    ("attention_heads.py", "vllm"),
    ("clipping.py", "autoawq"),
    ("every_gguf_type.py", "llamacpp-worker"),
    ("legacy_types.py", "autoawq"),
    ("legacy_types.py", "autogptq"),
    ("torch_types.py", "quantizer"),
)
"""Of this folder, each with the image that it runs in."""


@pytest.fixture(scope="module", autouse=True)
def _started(models: Models, references: dict[str, str]) -> None:
    """Start all of them at once."""
    for script, image in SCRIPTS:
        container = {
            "name": "main",
            "image": references[image],
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", (FOLDER / script).read_text()],
        }
        name = _pod(script, image)
        pods.start(models, name, {"restartPolicy": "Never", "containers": [container]})


def _lines(models: Models, script: str) -> list[Object]:
    """Return what a script told in each of its images."""
    names = [_pod(script, image) for of, image in SCRIPTS if of == script]
    logs = "\n".join(pods.finish(models, name, SECONDS) for name in names)
    return [json.loads(line) for line in logs.splitlines() if line.startswith("{")]


def _pod(script: str, image: str) -> str:
    return f"{script.partition('.')[0]}-{image}".replace("_", "-")


def test_unpacked_8_bit_weights_are_multiplied_rightly(models: Models) -> None:
    """Scales of activations fixed or computed, with a zero point or without, weights fused or not.

    A wrong sign or scale is off by more than a tenth; 8 bits of the activations are by a hundredth.
    """
    found = _lines(models, "products_of_integers.py")
    assert len(found) == 2**5
    assert [case for case in found if case["error"] > 0.02] == []


def test_unpacked_fp8_weights_are_multiplied_rightly(models: Models) -> None:
    """One scale or many, of activations and of weights: what is left is the rounding to 16 bits."""
    found = _lines(models, "products_of_floats.py")
    assert len(found) == 2**3
    assert [case for case in found if case["error"] > 0.005] == []


def test_attention_has_kernels_for_the_widths_that_are_let_pass(models: Models) -> None:
    (able,) = _lines(models, "attention_heads.py")
    assert able["auto"] == list(HEAD_SIZES)
    whole = [width for width in HEAD_SIZES if width % FP8_MULTIPLE == 0]
    assert able["fp8"] in (whole, []), "on a processor without AVX-512 there is none"


def test_autoawq_clips_as_the_library_would(models: Models) -> None:
    found = _lines(models, "clipping.py")
    assert len(found) == 3
    assert [each for each in found if each["clipped"] < 0.1] == [], "nothing was to be found"
    assert [each for each in found if each["alike"] < 0.99] == [], "ties may fall either way"


def test_the_libraries_know_the_models_that_they_are_asked_for(models: Models) -> None:
    known = {found["backend"]: set(found["types"]) for found in _lines(models, "legacy_types.py")}
    assert known == MODEL_TYPES


def test_transformers_loads_the_models_that_it_is_asked_for(models: Models) -> None:
    (found,) = _lines(models, "torch_types.py")
    assert set(found["types"]) - {"gemma3n"} == LOADED, "gemma3n needs timm"


def test_every_type_of_gguf_is_written(models: Models) -> None:
    """Those that the API refuses without an importance matrix are those that llama.cpp refuses."""
    found = _lines(models, "every_gguf_type.py")
    assert [each["type"] for each in found] == list(GGUFType)
    needing = {each["type"]: each["plain"] for each in found if each["plain"]}
    assert set(needing) == set(NEEDS_IMPORTANCE_MATRIX)
    assert [why for why in needing.values() if "requires an imatrix" not in why] == []
    assert [each for each in found if each["weighed"]] == []
