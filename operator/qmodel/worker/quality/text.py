"""The token sequences that both models are judged on."""

from dataclasses import astuple, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from qmodel.worker.backends import LanguageModel
from qmodel.worker.texts import passages, samples, user

MIN_TOKENS = 256
"""A shorter text of a user says too little."""
MAX_TOKENS = 4096
"""Of a longer text the beginning is used, so that the time is bounded on a CPU."""
MAX_PASSAGE_TOKENS = 512
MIN_PASSAGES = 8
"""A user's text is cut into at least so many passages where it can be: standard errors are
clustered by passage."""
MIN_PASSAGE_TOKENS = 32
_CUT = "every window begins a sequence"
"""How a user's text is cut: part of its digest, so that figures of another cut are not taken."""


@dataclass(frozen=True)
class EvaluationText:
    """Which text, and what identifies it."""

    kind: Literal["BuiltIn", "User"]
    passages: tuple[str, ...]
    digest: str
    """16 hexadecimal digits over everything that decides which tokens are compared."""


def evaluation_text(user_file: Path | None) -> EvaluationText:
    """Return the user's text or the built-in one.

    Raises
    ------
    TextMissing
        If the user's text is not there.
    TextInvalid
        If it is not UTF-8.
    """
    if user_file is None:
        parts = tuple(passages("evaluation"))
        return EvaluationText("BuiltIn", parts, _digest(parts, samples.EVALUATION))
    parts = tuple(user.passages(user.read(user_file)))
    return EvaluationText("User", parts, _digest(parts, cut=_CUT))


def sequences(text: EvaluationText, base: LanguageModel) -> list[list[int]]:
    """Return the token sequences, each a cluster of dependent tokens.

    Where the tokenizer begins a sequence with a token, each has it at its start, where it is not
    scored, and nowhere else: without it many models predict badly, whatever their weights.

    Raises
    ------
    TextInvalid
        If a user's text is too short.
    """
    tokenized = [base.tokenize(passage) for passage in text.passages]
    if text.kind == "BuiltIn":
        return [tokens[:MAX_PASSAGE_TOKENS] for tokens in tokenized] + samples.EVALUATION.draw(base)
    total = sum(map(len, tokenized))
    user.require_tokens(total, MIN_TOKENS, "evaluation")
    longest = min(max(total // MIN_PASSAGES, MIN_PASSAGE_TOKENS), MAX_PASSAGE_TOKENS)
    begin = beginning(base, tokenized)
    merged = merge([tokens[len(begin) :] for tokens in tokenized])
    return within_budget(cut(merged, longest, begin))


def beginning(model: LanguageModel, tokenized: list[list[int]]) -> list[int]:
    """Return the token that begins each of these sequences, by itself; nothing if none does.

    A text of nothing holds what the tokenizer adds. Of that only what stands first is meant: some
    end a sequence too.
    """
    first = model.tokenize("")[:1]
    return first if all(tokens[:1] == first for tokens in tokenized) else []


def merge(tokenized: list[list[int]]) -> list[list[int]]:
    """Join short passages with those that follow: a lone heading has no context."""
    merged: list[list[int]] = [[]]
    for tokens in tokenized:
        if len(merged[-1]) >= MIN_PASSAGE_TOKENS:
            merged.append([])
        merged[-1] += tokens
    return merged


def cut(tokenized: list[list[int]], longest: int, begin: list[int]) -> list[list[int]]:
    """Cut passages into windows of at most `longest` tokens, dropping rests too short to score.

    Each window starts with `begin`, which counts.
    """
    step = longest - len(begin)
    windows = [
        begin + tokens[start : start + step]
        for tokens in tokenized
        for start in range(0, len(tokens), step)
    ]
    return [window for window in windows if len(window) > 1]


def within_budget(windows: list[list[int]]) -> list[list[int]]:
    """Return the first windows that hold MAX_TOKENS together."""
    kept, total = [], 0
    for window in windows:
        if total + len(window) > MAX_TOKENS:
            break
        kept.append(window)
        total += len(window)
    return kept


def _digest(
    parts: tuple[str, ...], recipe: samples.Recipe | None = None, cut: str | None = None
) -> str:
    limits = (MAX_TOKENS, MAX_PASSAGE_TOKENS, MIN_PASSAGES, MIN_PASSAGE_TOKENS)
    identity: tuple[object, ...] = (parts, astuple(recipe) if recipe else None, limits)
    if cut is not None:
        identity += (cut,)
    return sha256(repr(identity).encode()).hexdigest()[:16]
