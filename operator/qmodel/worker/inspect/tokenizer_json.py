"""tokenizer.json: what it does to a text must end, and be as long as the text lets expect.

Its normalizers replace and its patterns match on every request. Checked when it is fetched: it
has up to 35 MB, and nothing has read it before.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from qmodel.worker.errors import SourceInvalid, UnsafeModel
from qmodel.worker.inspect.document import MAX_CONFIG_BYTES, parse_object
from qmodel.worker.inspect.patterns import ends_on_text
from qmodel.worker.inspect.tokenizer_tables import without_tables

FILE = "tokenizer.json"
MAX_BYTES = 64 << 20
"""The largest in use has 35 MB."""
_MORE_TOKENS = 1 << 16
"""Tokens beyond the model's vocabulary, which some have and never use."""
_SECTIONS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_MAX_STEPS = 256
_MAX_GROWTH = 64
"""What all replacements together may make of one character."""
_MAX_TEXT = 4096
_MAX_TABLE_TEXT = 4 << 20
"""Of the table of characters that sentencepiece's normalizer brings."""
_MAX_LENGTH = 1 << 31
_MAX_PIECES = 64


def check_tokenizer_json(content: bytes, vocabulary_size: int, context_length: int) -> None:
    """Check a tokenizer.json.

    Parameters
    ----------
    content
        All of it.
    vocabulary_size, context_length
        Of the model.

    Raises
    ------
    SourceInvalid
        If it is damaged, or gives numbers that the model cannot have.
    UnsafeModel
        If it makes a text grow, or matches, without end.
    """
    if len(content) > MAX_BYTES:
        message = f"{FILE} has {len(content)} bytes: at most {MAX_BYTES} are read"
        raise SourceInvalid(message)
    rest, largest = without_tables(content, FILE)
    if len(rest) > MAX_CONFIG_BYTES:
        message = f"{FILE} has {len(rest)} bytes beside its vocabulary: {MAX_CONFIG_BYTES} are read"
        raise SourceInvalid(message)
    document = parse_object(rest, FILE)
    _check_numbers(document, largest, vocabulary_size + _MORE_TOKENS)
    _check_lengths(document, context_length)
    for name in _SECTIONS:
        _check_section(name, document.get(name))


def _check_numbers(document: Mapping[str, Any], largest: int, most: int) -> None:
    """Check the numbers of tokens: readers make tables up to the largest."""
    model = document.get("model")
    if isinstance(model, dict) and (model.get("vocab") or model.get("merges")):
        _refuse("model", "has two vocabularies, or one that is no table of tokens")
    added = document.get("added_tokens")
    if not isinstance(added, list | None):
        _refuse("added_tokens", "is no list")
    for token in added or ():
        number = token.get("id") if isinstance(token, dict) else None
        if type(number) is not int or not 0 <= number < most:
            _refuse(
                "added_tokens", f"gives a token the number {str(number)[:40]}: {most} is beyond"
            )
    if largest >= most:
        _refuse("model.vocab", f"gives a token the number {largest}: {most} is beyond")


def _check_lengths(document: Mapping[str, Any], context_length: int) -> None:
    """Check that no text is padded beyond what the model can take."""
    padding, truncation = _object(document, "padding"), _object(document, "truncation")
    strategy = padding.get("strategy")
    fixed = strategy.get("Fixed") if isinstance(strategy, dict) else None
    for key, value, most in (
        ("padding.strategy.Fixed", fixed, context_length),
        ("padding.pad_to_multiple_of", padding.get("pad_to_multiple_of"), context_length),
        ("truncation.max_length", truncation.get("max_length"), _MAX_LENGTH),
        ("truncation.stride", truncation.get("stride"), _MAX_LENGTH),
    ):
        if value is not None and (type(value) is not int or not 0 <= value <= most):
            _refuse(key, f"is {str(value)[:40]!r}: a whole number up to {most} is expected")


def _check_section(name: str, section: object) -> None:
    """Check what is done to each text: few steps, patterns that end, and little growth."""
    growth, steps = 1.0, 0
    for path, value in _walk(name, section):
        if isinstance(value, str):
            longest = _MAX_TABLE_TEXT if path.endswith(".precompiled_charsmap") else _MAX_TEXT
            if len(value) > longest:
                _refuse(path, f"has {len(value)} characters: at most {longest} are accepted")
            if path.endswith(".Regex") and not ends_on_text(value):
                _endless(path, f"is {value[:100]!r}, which can match without end")
        elif isinstance(value, list) and path.endswith(".ids") and len(value) > _MAX_PIECES:
            _endless(path, f"adds {len(value)} tokens: at most {_MAX_PIECES} are accepted")
        elif isinstance(value, dict):
            steps += "type" in value
            growth *= _growth(value)
            _check_template(path, value)
    if steps > _MAX_STEPS:
        _endless(name, f"has {steps} steps: at most {_MAX_STEPS} are accepted")
    if growth > _MAX_GROWTH:
        _endless(name, f"makes {growth:.0f} characters of one: at most {_MAX_GROWTH} are accepted")


def _growth(step: Mapping[str, Any]) -> float:
    """Return what a replacement makes of one character; at least 1."""
    pattern, content = step.get("pattern"), step.get("content")
    if not isinstance(pattern, dict) or not isinstance(content, str):
        return 1.0
    text = pattern.get("String")
    if isinstance(text, str) and text:
        return max(1.0, len(content) / len(text))
    return len(content) + 1.0 if content else 1.0


def _check_template(path: str, step: Mapping[str, Any]) -> None:
    """Check that tokens are added around a text, and the text is not repeated."""
    for key in ("single", "pair"):
        pieces = step.get(key)
        if not isinstance(pieces, list):
            continue
        parts = [piece.get("Sequence") for piece in pieces if isinstance(piece, dict)]
        texts = [str(part.get("id")) for part in parts if isinstance(part, dict)]
        if len(pieces) > _MAX_PIECES or len(texts) != len(set(texts)):
            _endless(f"{path}.{key}", f"repeats a text, or has more than {_MAX_PIECES} pieces")


def _walk(name: str, section: object) -> Iterator[tuple[str, object]]:
    """Yield everything in a section with the keys that lead to it."""
    waiting = [(name, section)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting.extend((f"{path}.{key}"[-200:], inner) for key, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((path, inner) for inner in value)


def _object(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict | None):
        _refuse(key, f"is {str(value)[:40]!r} where an object is expected")
    return value or {}


def _refuse(key: str, problem: str) -> NoReturn:
    message = f"{key} in {FILE} {problem}"
    raise SourceInvalid(message)


def _endless(key: str, problem: str) -> NoReturn:
    message = f"{key} in {FILE} {problem}"
    raise UnsafeModel(message)
