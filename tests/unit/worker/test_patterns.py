"""Which patterns over module names are taken: those of published models, and none without end."""

import re
import time

import pytest

from qmodel.worker.inspect.patterns import ends, ends_on_text, is_marked

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


TOKENIZERS = {
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama-3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "gpt-oss": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "deepseek": "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "deepseek, han": "[一-龥ぁ-ん]+",
    "bloom": " ?[^(\\s|[.,!?…])]+",
    "exaone": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
    "kimi": r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}&&[^\p{Han}]]*[\p{Ll}\p{M}&&[^\p{Han}]]+"
    r"(?i:'s|'t)?|\p{N}{1,3}|\s+",
    "digits from the right": r"(?=(\d{3})+(?!\d))",
    "digits from the right, too": r"\d{1,3}(?=(?:\d{3})*\b)",
    "chameleon": "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
    "blanks": r" {2,}",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "starcoder": r"\s?\p{L}+|\s?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]{0,2}",
    "date": r"\d{1,4}-\d{1,2}-\d{1,2}(?:T\d{2}:\d{2})?",
    "branches that differ": "(a|b|c){1,9}(x|yy|z){3}w",
}


@pytest.mark.parametrize("pattern", TOKENIZERS.values(), ids=list(TOKENIZERS))
def test_what_published_tokenizers_match_is_taken(pattern: str) -> None:
    assert ends_on_text(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "((a+))+b", "(a|aa)+$", "(?:a|a)*b", "(?:(?:a+)+b)+", "(?=(a+)+$)x?",
        "(?=(a+)+$)",
        "(a?){1,60}b", "(?:a{1,9})*b", r"(.+)\1\1b", "a*a*a*a*a*b", "x|(?:a*)*b|y",
        "(" * 40 + "a" + ")" * 40, "(a|a){30}b", "(?:a?){25}a{25}b", "a{0,9}" * 12 + "b",
        "a?" * 25 + "a{25}b", "(?:a?){25}a{25}", "(?:a|ab)" * 20 + "c", "(a|A){9}(?i:a|A){9}b",
        "(?:(?:a|a){4}){9}b", "(a{1,9}){9}b", "(a*){9}b", "a{1,9}+b", "a{1,9}*b", "a*{9}b",
        "(?i:ss|\u00df){20}x", "(?x:a|a ){20}b", r"(?<a>a|a\g<a>)b", r"(?<a>.+)\k<a>b",
        "(?:a{0,9}a{0,9}a{0,9}a{0,9})c", "x" * 9 + "(a|a){" + "9" * 5000 + "}b",
    ],
)  # fmt: skip
def test_what_matches_texts_without_end_is_not(pattern: str) -> None:
    assert not ends_on_text(pattern)
