"""Which patterns over module names are taken: those of published models, and none without end."""

import re
import time

import pytest

from qmodel.worker.inspect.patterns import ends, is_marked

PUBLISHED = [
    "lm_head",
    "model.layers.0.mlp.gate",
    "Linear",
    "re:.*lm_head",
    "re:.*mlp.gate$",
    "re:.*self_attn.*",
    "re:model.layers.\\d+.mlp.experts.*",
    "re:.*(q|k|v)_proj",
    "re:.*self_attn.(q|k|v|o)_proj$",
    "re:.*mlp\\.experts\\.\\d+\\.(gate|up|gate_up|down)_proj$",
    "re:model\\.layers\\.(?:[0-9]|1[0-9])\\..*",
    "re:^(?!.*experts).*",
    "re:.*block_sparse_moe[.]gate",
    "re:.*layers\\.\\d+\\.mlp\\.experts\\.\\d+\\.(shared_)?down_proj.*",
    "re:vision_tower.*",
    "+:.*\\.18\\..*gate.*",
    "-:.*\\.20\\..*",
    "model.layers.*.mlp.gate",
    "*lm_head*",
    "*.self_attn.*",
    ".*mlp.experts.*",
]
ENDLESS = [
    "re:(a+)+$",
    "re:((a+))+b",
    "re:((.|.))*X",
    "re:" + ".*" * 12 + "X",
    "re:" + ".?" * 60 + "X",
    "re:" + "(.|.)" * 60 + "X",
    "re:(a?){60}X",
    "re:(?:a|a)+$",
    "re:(?:a*?)+?X",
    "re:(.*)\\1\\1X",
    "re:(?P<a>.)(?P=a)",
    "re:\\d+" + "\\d+" * 8,
    "(a+)+$",
    "x" * 600,
    7,
    None,
]


@pytest.mark.parametrize("pattern", PUBLISHED)
def test_what_published_models_use_is_taken(pattern: str) -> None:
    assert ends(pattern)


@pytest.mark.parametrize("pattern", ENDLESS, ids=lambda pattern: str(pattern)[:30])
def test_what_matches_without_end_is_not(pattern: object) -> None:
    assert not ends(pattern)


@pytest.mark.parametrize(
    "pattern", ["re:.*.*.*X", "re:.?.?.?X", "re:a*a*(a|aa)(a|aa)(a|aa)a*X", "re:" + "(.|.)" * 9]
)
def test_the_worst_that_is_taken_ends_soon(pattern: str) -> None:
    assert ends(pattern)
    begun = time.perf_counter()
    re.match(pattern.removeprefix("re:"), "a" * 120)
    assert time.perf_counter() - begun < 1


def test_a_marked_pattern() -> None:
    assert [text for text in ("re:x", "+:x", "-:x", "x", "-x", "read") if is_marked(text)] == [
        "re:x", "+:x", "-:x",
    ]  # fmt: skip
