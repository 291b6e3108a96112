"""Gemma 3's modules, as transformers names them where the model can also see."""

import re

from qmodel.worker.backends import language_part

DECODER = "model.language_model"
SEEING = [
    "model.vision_tower.encoder.layers.0.self_attn.v_proj",
    "model.language_models_beside.proj",
    "model.multi_modal_projector.proj",
]
READING = ["model.language_model.layers.0.self_attn.v_proj", "lm_head"]


def test_what_sees_is_beside_the_language_model() -> None:
    assert language_part.beside([*SEEING, *READING], DECODER, "lm_head") == SEEING
    assert language_part.beside(READING, DECODER, None) == ["lm_head"]


def test_what_is_beside_is_found_by_the_names_of_modules_and_of_tensors() -> None:
    patterns = language_part.patterns(SEEING, DECODER)
    assert patterns[0] == r"re:(.*\.)?vision_tower\..*"
    tensors = [name.removeprefix("model.") for name in SEEING + READING]
    for names in (SEEING + READING, tensors):
        found = [n for n in names if any(re.match(p.removeprefix("re:"), n) for p in patterns)]
        assert found == names[: len(SEEING)]
    assert language_part.patterns(["vision.proj", "vision.fc"], "language_model") == [
        r"re:(.*\.)?vision\..*"
    ]


def test_patterns_find_layers_of_the_language_model_only() -> None:
    pattern = language_part.within("re:.*v_proj$", DECODER).removeprefix("re:")
    found = [name for name in SEEING + READING if re.match(pattern, name)]
    assert found == READING[:1]


def test_a_pattern_that_says_where_stays() -> None:
    assert language_part.within("model.embed", DECODER) == "model.embed"
