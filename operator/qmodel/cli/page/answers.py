"""Answers of models side by side, with what they have in common told apart from what differs."""

from collections.abc import Sequence
from dataclasses import dataclass

from qmodel.cli.page.subject import Subject


@dataclass(frozen=True, slots=True)
class Reply:
    """What one model says.

    Parameters
    ----------
    same
        The beginning that it shares with the unquantized model.
    other
        From the first word that differs.
    """

    by: str
    same: str
    other: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One prompt and every model's answer, the unquantized first."""

    prompt: str
    replies: tuple[Reply, ...]

    @property
    def agree(self) -> bool:
        """Whether all answers are the same."""
        return not any(reply.other for reply in self.replies)


def exchanges(subjects: Sequence[Subject]) -> list[Exchange]:
    """Return the prompts with the answers of all models; of several sources, each as its own."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for subject in subjects:
        by = subject.model.name if len(subjects) > 1 else "Quantized"
        for answer in subject.files.details.answers if subject.files.details else ():
            found.setdefault((answer.prompt, answer.base), []).append((by, answer.quantized))
    return [_exchange(prompt, base, texts) for (prompt, base), texts in found.items()]


def _exchange(prompt: str, base: str, texts: Sequence[tuple[str, str]]) -> Exchange:
    replies = (Reply("Unquantized", base, ""), *(_reply(by, base, text) for by, text in texts))
    return Exchange(prompt, replies)


def _reply(by: str, base: str, text: str) -> Reply:
    """Split an answer where it leaves the unquantized one, at the beginning of a word."""
    if text == base:
        return Reply(by, text, "")
    pairs = zip(base, text, strict=False)
    alike = next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(base), len(text)))
    at = max(text.rfind(" ", 0, alike), text.rfind("\n", 0, alike)) + 1
    return Reply(by, text[:at], text[at:] or "∅")
