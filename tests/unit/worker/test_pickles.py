"""Pickles are told by their operations; words that happen to be operations are none."""

import pickle
from typing import Any

import pytest

from qmodel.worker.inspect.pickles import runs_code


class Built:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("hostile",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("before", [b"", b"N0", b"(0", b"]0"])
def test_a_call_is_found_in_every_protocol(protocol: int, before: bytes) -> None:
    content = pickle.dumps(Built(), protocol)
    assert runs_code(before + content)
    assert runs_code(before + content[:-1])


@pytest.mark.parametrize(
    "content", [b"(S'x'\nios\nsystem\n.", b"cos\nsystem\n(S'x'\ntR", b"(cos\nsystem\nS'x'\no."]
)
def test_a_call_by_hand_is_found(content: bytes) -> None:
    assert runs_code(content)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"No. 1", b"NR.", b"in\nthe\nRun\n", b"cat\ncow\nRat\n", b"copyright 2024\n\nPer",
        b"Copyright 2024\n", b"[PAD]\n[UNK]\n", b"#version: 0.2\n", b"IQ== 0\n", b"{}",
        b"I9999999999999999999999999999\n.", pickle.dumps([1, 2]),
    ],
)  # fmt: skip
def test_what_calls_nothing_is_none(content: bytes) -> None:
    assert not runs_code(content)
