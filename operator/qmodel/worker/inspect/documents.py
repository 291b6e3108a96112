"""The small configuration files of a model, read once: none runs code, each template ends."""

from collections.abc import Iterator, Mapping
from typing import Any

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.inspect.code import check_document
from qmodel.worker.inspect.config_bounds import MAX_VOCABULARY
from qmodel.worker.inspect.document import MAX_CONFIG_BYTES, load_object
from qmodel.worker.inspect.quantized import AUTO_AWQ_CONFIG, AUTO_GPTQ_CONFIG, MODELOPT_CONFIG
from qmodel.worker.inspect.select import CONFIG
from qmodel.worker.inspect.templates import check_template
from qmodel.worker.sources import Source, read

TOKENIZER_CONFIG = "tokenizer_config.json"
ADDED_TOKENS = "added_tokens.json"
_TEMPLATE = "chat_template.jinja"
_DOCUMENTS = (
    CONFIG, TOKENIZER_CONFIG, "generation_config.json", "preprocessor_config.json",
    "processor_config.json", "video_preprocessor_config.json", "special_tokens_map.json",
    ADDED_TOKENS, "chat_template.json", AUTO_GPTQ_CONFIG, AUTO_AWQ_CONFIG, MODELOPT_CONFIG,
)  # fmt: skip

Documents = Mapping[str, dict[str, Any]]


def load_documents(source: Source) -> Documents:
    """Return the configuration files that a source has, by name, each checked.

    Raises
    ------
    SourceInvalid
        If one is damaged, absurdly large or absurdly filled.
    UnsafeModel
        If one asks to run code.
    """
    found = {path: load_object(source, path) for path in _DOCUMENTS if path in source.files}
    for path, document in found.items():
        check_document(document, path)
    _check_tokens(found.get(TOKENIZER_CONFIG, {}))
    for token, number in found.get(ADDED_TOKENS, {}).items():
        if type(number) is not int or not 0 <= number < MAX_VOCABULARY:
            message = (
                f"{ADDED_TOKENS} gives {token[:40]!r} the number {str(number)[:40]}: at most"
                f" {MAX_VOCABULARY} is accepted"
            )
            raise SourceInvalid(message)
    return found


def check_templates(source: Source, documents: Documents) -> bool:
    """Check every chat template; return whether there is one.

    Raises
    ------
    SourceInvalid, UnsafeModel
        As in `templates`.
    """
    found = list(_templates(source, documents))
    for where, template in found:
        check_template(template, where)
    return bool(found)


def _templates(source: Source, documents: Documents) -> Iterator[tuple[str, object]]:
    """Yield where each chat template stands, and what stands there."""
    file = source.files.get(_TEMPLATE)
    if file is not None:
        content = read(source, _TEMPLATE, 0, min(file.bytes, MAX_CONFIG_BYTES))
        yield _TEMPLATE, _decoded(content, _TEMPLATE)
    for path, document in documents.items():
        found = document.get("chat_template")
        where = f"chat_template in {path}"
        if isinstance(found, dict):
            yield from ((f"{where} ({name[:60]})", inner) for name, inner in found.items())
        elif isinstance(found, list):
            yield from ((where, item.get("template")) for item in found if isinstance(item, dict))
        elif found:
            yield where, found


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        message = f"{where} is no UTF-8 text: {error.reason} at byte {error.start}"
        raise SourceInvalid(message) from error


def _check_tokens(tokenizer: Mapping[str, Any]) -> None:
    """Check the numbers of added tokens, up to which readers make their tables."""
    added = tokenizer.get("added_tokens_decoder")
    for number in added if isinstance(added, dict) else ():
        if not number.isdecimal() or len(number) > 10 or int(number) >= MAX_VOCABULARY:  # noqa: PLR2004  digits
            message = (
                f"added_tokens_decoder in {TOKENIZER_CONFIG} has the token number {number[:40]!r}:"
                f" at most {MAX_VOCABULARY} is accepted"
            )
            raise SourceInvalid(message)
