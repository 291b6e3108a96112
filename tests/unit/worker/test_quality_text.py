from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from qmodel.worker.calibration import calibration_text
from qmodel.worker.errors import EngineFailed, TextInvalid, TextMissing
from qmodel.worker.progress import Progress
from qmodel.worker.quality.comparison import compare
from qmodel.worker.quality.measures import summarize
from qmodel.worker.quality.text import (
    MAX_PASSAGE_TOKENS,
    MAX_TOKENS,
    MIN_PASSAGES,
    evaluation_text,
    sequences,
)
from qmodel.worker.texts import passages, samples, user


class Characters:
    """A model whose tokens are characters and whose logits are a function of the token."""

    def __init__(self, noise: float = 0.0, vocabulary: int = 256, block: int = 7) -> None:
        self._noise, self._vocabulary, self._block = noise, vocabulary, block

    def tokenize(self, text: str) -> list[int]:
        return [ord(character) % 256 for character in text]

    def detokenize(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    def logits(self, tokens: Sequence[int]) -> Iterator[np.ndarray]:
        for start in range(0, len(tokens), self._block):
            block = tokens[start : start + self._block]
            rows = [np.random.default_rng(token).normal(size=self._vocabulary) for token in block]
            noise = np.random.default_rng(start).normal(size=(len(block), self._vocabulary))
            yield (np.stack(rows) + self._noise * noise).astype(np.float32)

    def draw(
        self, openers: Sequence[str], length: int, random: np.random.Generator
    ) -> list[list[int]]:
        return [
            self.tokenize(opener) + list(random.integers(97, 122, size=length - len(opener)))
            for opener in openers
        ]


class Framed(Characters):
    """One whose tokenizer adds tokens around a text."""

    def __init__(self, begin: Sequence[int], end: Sequence[int] = ()) -> None:
        super().__init__()
        self._begin, self._end = begin, end

    def tokenize(self, text: str) -> list[int]:
        return [*self._begin, *super().tokenize(text), *self._end]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_built_in_text_brings_passages_and_samples() -> None:
    text = evaluation_text(None)
    found = sequences(text, Characters())
    assert text.kind == "BuiltIn"
    assert len(found) == len(passages("evaluation")) + len(samples.EVALUATION.openers)
    assert all(1 < len(sequence) <= MAX_PASSAGE_TOKENS for sequence in found)


def test_samples_depend_on_the_seed_alone() -> None:
    assert samples.EVALUATION.draw(Characters()) == samples.EVALUATION.draw(Characters())


def test_calibration_shares_nothing_with_evaluation() -> None:
    assert not set(passages("calibration")) & set(passages("evaluation"))
    assert samples.CALIBRATION.seed != samples.EVALUATION.seed
    assert not set(samples.CALIBRATION.openers) & set(samples.EVALUATION.openers)
    calibration = calibration_text(Characters(), None)
    lines = {
        line for text in passages("evaluation") for line in text.splitlines() if len(line) > 30
    }
    assert not [line for line in lines if line in calibration]


def test_user_text_is_cut_into_enough_passages(tmp_path: Path) -> None:
    text = evaluation_text(write(tmp_path / "text", "One long passage of words. " * 40))
    found = sequences(text, Characters())
    assert text.kind == "User"
    assert len(found) >= MIN_PASSAGES


def test_short_passages_are_merged(tmp_path: Path) -> None:
    content = "\n\n".join(["A heading", "A passage that is long enough to stand alone. " * 3] * 10)
    found = sequences(evaluation_text(write(tmp_path / "text", content)), Characters())
    assert min(map(len, found)) > len("A heading")


def test_long_user_text_is_bounded(tmp_path: Path) -> None:
    text = evaluation_text(write(tmp_path / "text", "\n\n".join(["word " * 500] * 40)))
    found = sequences(text, Characters())
    assert MAX_TOKENS - MAX_PASSAGE_TOKENS < sum(map(len, found)) <= MAX_TOKENS


@pytest.mark.parametrize("passage", ["A short passage, of two lines.\n", "A long one. " * 150])
def test_every_window_of_a_users_text_begins_a_sequence(tmp_path: Path, passage: str) -> None:
    text = evaluation_text(write(tmp_path / "text", "\n\n".join([passage] * 20)))
    found = sequences(text, Framed([2]))
    assert len(found) >= MIN_PASSAGES
    assert all(window[0] == 2 and 2 not in window[1:] for window in found)
    assert all(2 < len(window) <= MAX_PASSAGE_TOKENS for window in found)
    content = [token for window in found for token in window[1:]]
    said = Characters().tokenize("".join(text.passages))
    assert content == said[: len(content)]


def test_windows_begin_as_the_text_does_where_no_token_begins_a_sequence(tmp_path: Path) -> None:
    text = evaluation_text(write(tmp_path / "text", "One long passage of words. " * 41))
    ended = sequences(text, Framed([], [3]))
    assert [token for window in ended for token in window] == Framed([], [3]).tokenize(
        text.passages[0]
    )
    both = sequences(text, Framed([2], [3]))
    assert [window[0] for window in both] == [2] * len(both)
    assert [3 in window for window in both] == [False] * (len(both) - 1) + [True]


def test_short_user_text_is_refused(tmp_path: Path) -> None:
    text = evaluation_text(write(tmp_path / "text", "Too short."))
    with pytest.raises(TextInvalid, match="has 10 tokens, at least 256 are needed"):
        sequences(text, Characters())


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"abc\xff")
    with pytest.raises(TextInvalid, match="byte 3 is 0xff"):
        user.read(path)


def test_text_that_is_not_there_is_named_and_may_come_yet(tmp_path: Path) -> None:
    with pytest.raises(TextMissing, match=f"the {tmp_path.name} text .* is not there") as raised:
        user.read(tmp_path / "absent")
    assert raised.value.retry_after


def test_text_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextInvalid, match=f"the {tmp_path.parent.name} text .* is no file"):
        user.read(tmp_path)


def test_text_cut_within_a_character_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user, "MAX_BYTES", 4)
    assert user.read(write(tmp_path / "text", "abcé")) == "abc"


def test_digest_follows_the_text(tmp_path: Path) -> None:
    one = evaluation_text(write(tmp_path / "one", "a text"))
    other = evaluation_text(write(tmp_path / "other", "another text"))
    again = evaluation_text(write(tmp_path / "again", "a text"))
    assert one.digest == again.digest
    assert len({one.digest, other.digest, evaluation_text(None).digest}) == 3


def test_short_calibration_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextInvalid, match="calibration text has 5 tokens"):
        calibration_text(Characters(), write(tmp_path / "text", "short"))


def test_comparison_scores_every_position_but_the_last() -> None:
    tokens = [list(range(20)), list(range(30, 61))]
    stream = StringIO()
    part = Progress("evaluate", stream).part(0.0, 1.0)
    found = compare(Characters(), Characters(noise=0.5), tokens, part)
    assert [sums.tokens for sums in found] == [19, 30]
    assert summarize(found).mean_kl_divergence > 0
    assert '"percent":100' in stream.getvalue()


def test_models_of_other_vocabularies_cannot_be_compared() -> None:
    part = Progress("evaluate", StringIO()).part(0.0, 1.0)
    with pytest.raises(EngineFailed, match="shapes differ"):
        compare(Characters(), Characters(vocabulary=128), [[1, 2, 3]], part)
