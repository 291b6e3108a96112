"""What a method observes the model with: the user's text, or samples of the model itself.

A user's file is JSON lines, each `{"text": ...}` or `{"messages": [...]}`, if half of its lines
begin with `{`; otherwise it is plain text, with blank lines between its passages.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from qmodel.worker.backends import CalibrationSet, LanguageModel, importance_matrix
from qmodel.worker.backends.tokens import windows
from qmodel.worker.errors import TextInvalid
from qmodel.worker.task import CalibrationTask
from qmodel.worker.texts import passages, prompts, samples, user

SAMPLES_FILE = "calibration.jsonl"
"""Samples that a model drew, kept beside the artifact."""
TEXT_FILE = "calibration.txt"
"""The text of an importance matrix, likewise."""
SEED = 2
"""Evaluation draws with another, from other openers."""
MAX_ANSWER_TOKENS = 202
"""Of an answer that the model draws: most end before, and each token is one step. With the longest
question in SmolLM2's chat template it makes 256."""
_NAMED_LINES = 5
"""Bad lines that a message names."""

Message = dict[str, str]
OnProgress = Callable[[float], None]


@dataclass(frozen=True)
class Sample:
    """One sample of a user: a text, or a conversation."""

    text: str = ""
    messages: tuple[Message, ...] = ()


class ChatModel(Protocol):
    """The unquantized model as its users meet it: behind its tokenizer and chat template."""

    def encode(self, sample: Sample) -> list[int]:
        """Return the token ids of a sample; a conversation in the chat template."""

    def prompt(self, messages: Sequence[Message]) -> list[int] | None:
        """Return the token ids before the model's answer; None if no chat template renders it."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids, control tokens included."""

    def draw(
        self, begun: Sequence[list[int]], count: int, seed: int, on_progress: OnProgress
    ) -> list[list[int]]:
        """Return each sequence with what is drawn at temperature 1, of at most `count` tokens."""


def calibration_set(
    wanted: CalibrationTask, model: ChatModel, folder: Path, on_progress: OnProgress
) -> CalibrationSet:
    """Return the user's samples, or those that the model draws, which `folder` keeps.

    Parameters
    ----------
    wanted
        How many, how long, and the user's file if there is one.
    model
        The unquantized model.
    folder
        Of the artifact.
    on_progress
        Told of the share of the samples that is drawn.

    Raises
    ------
    TextMissing
        If the user's text is not there.
    TextInvalid
        If it cannot be read or is too short.
    """
    if wanted.file:
        return _user_set(wanted, Path(wanted.file), model)
    questions = prompts()
    asked = [questions[number % len(questions)] for number in range(wanted.samples)]
    begun = [_begun(question, wanted.max_sequence_length, model) for question in asked]
    count = min(MAX_ANSWER_TOKENS, wanted.max_sequence_length - max(map(len, begun)))
    drawn = model.draw(begun, count, SEED, on_progress)
    lines = [json.dumps({"text": model.decode(tokens)}, ensure_ascii=False) for tokens in drawn]
    content = "".join(line + "\n" for line in lines).encode()
    (folder / SAMPLES_FILE).write_bytes(content)
    return CalibrationSet("SelfDrawn", _frozen(drawn), sha256(content).hexdigest())


def calibration_text(model: LanguageModel, user_file: Path | None) -> str:
    """Return what an importance matrix is computed from: the user's text, or the built-in one.

    Raises
    ------
    TextMissing
        If the user's text is not there.
    TextInvalid
        If it cannot be read or is too short.
    """
    if user_file is None:
        drawn = samples.CALIBRATION.draw(model)
        return "\n\n".join([*passages("calibration"), *map(model.detokenize, drawn)])
    text = "\n\n".join(_words(sample) for sample in read_samples(user.read(user_file)))
    user.require_tokens(len(model.tokenize(text)), importance_matrix.MIN_TOKENS, "calibration")
    return text


def read_samples(text: str) -> list[Sample]:
    """Return the samples of a user's text.

    Raises
    ------
    TextInvalid
        Naming the lines that are no samples.
    """
    if not user.is_json_lines(text):
        return [Sample(passage) for passage in user.passages(text)]
    found, bad = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append(_sample(json.loads(line)))
            except (ValueError, RecursionError) as error:
                bad.append(f"line {number}: {error}")
    if bad:
        more = f" and {len(bad) - _NAMED_LINES} more" if len(bad) > _NAMED_LINES else ""
        message = f"the calibration text is not JSON lines: {'; '.join(bad[:_NAMED_LINES])}{more}"
        raise TextInvalid(message)
    return found


def _begun(question: str, length: int, model: ChatModel) -> list[int]:
    """Return a question as the model meets it, with room left for an answer, or for half of one.

    A chat template can bring a system prompt that takes all of a short sample. Cut, it would lose
    the question, and all samples would be the same: so it is left out, or else the template is.
    """
    room = length - min(MAX_ANSWER_TOKENS, length // 2)
    asked = {"role": "user", "content": question}
    for messages in ([asked], [{"role": "system", "content": ""}, asked]):
        tokens = model.prompt(messages)
        if tokens is not None and len(tokens) <= room:
            return tokens
    return model.encode(Sample(question))[:room]


def _user_set(wanted: CalibrationTask, path: Path, model: ChatModel) -> CalibrationSet:
    """Return the first samples of the user's file, cut to the longest length."""
    text = user.read(path)
    found = read_samples(text)
    encoded = [model.encode(sample) for sample in found]
    if user.is_json_lines(text):
        sequences = [tokens[: wanted.max_sequence_length] for tokens in encoded if tokens]
    else:  # passages of plain text say nothing about lengths
        sequences = windows(encoded, wanted.max_sequence_length)
    if len(sequences) < wanted.samples:
        message = (
            f"the calibration text makes {len(sequences)} samples of"
            f" {wanted.max_sequence_length} tokens, {wanted.samples} are needed: give more text,"
            " or set spec.quantization.calibration.samples or maxSequenceLength lower"
        )
        raise TextInvalid(message)
    digest = sha256(text.encode()).hexdigest()
    return CalibrationSet("User", _frozen(sequences[: wanted.samples]), digest)


def _sample(entry: object) -> Sample:
    """Return one line's sample; a ValueError says what is wrong."""
    if isinstance(entry, dict) and isinstance(entry.get("text"), str) and entry["text"].strip():
        return Sample(entry["text"])
    if isinstance(entry, dict) and _are_messages(entry.get("messages")):
        messages = ({"role": m["role"], "content": m["content"]} for m in entry["messages"])
        return Sample(messages=tuple(messages))
    message = 'neither {"text": "..."} nor {"messages": [{"role": "...", "content": "..."}]}'
    raise ValueError(message)


def _are_messages(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a conversation."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(message, dict)
            and isinstance(message.get("role"), str)
            and isinstance(message.get("content"), str)
            for message in value
        )
    )


def _words(sample: Sample) -> str:
    """Return what a sample says, without a chat template: llama-imatrix reads plain text."""
    return sample.text or "\n\n".join(message["content"] for message in sample.messages)


def _frozen(sequences: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(tokens) for tokens in sequences)
