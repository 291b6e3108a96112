"""What stands beside the weights, looked at to the end once it is fetched and before it is used.

Headers and configurations are read where they lie; a tokenizer of 35 MB is not. Everything here is
small against a model, so a source that is refused here has brought none of its weights.
"""

from collections.abc import Iterable
from pathlib import Path

from qmodel.worker.errors import UnsafeModel
from qmodel.worker.inspect import tokenizer_json
from qmodel.worker.inspect.config import vocabulary_and_context
from qmodel.worker.inspect.contents import check_companion
from qmodel.worker.inspect.document import parse_object
from qmodel.worker.inspect.patterns import ends_on_text
from qmodel.worker.inspect.select import CONFIG, INDEX

_TEKKEN = "tekken.json"


def check_fetched(folder: Path, companions: Iterable[str]) -> None:
    """Check that each file is what its name says, to its end, and that its tokenizer ends.

    Parameters
    ----------
    folder
        Where they lie.
    companions
        Names of the files beside the weights.

    Raises
    ------
    SourceInvalid
        If a file is damaged, or something else.
    UnsafeModel
        If one is a pickle or a program, or a tokenizer matches or grows without end.
    """
    for name in companions:
        content = (folder / name).read_bytes()
        check_companion(name, content, len(content))
        if name == tokenizer_json.FILE:
            config = parse_object((folder / CONFIG).read_bytes(), CONFIG)
            tokenizer_json.check_tokenizer_json(content, *vocabulary_and_context(config))
        elif name.endswith(".json") and name != INDEX:
            document = parse_object(content, name)
            if name == _TEKKEN:
                _check_tekken(document.get("config"))


def _check_tekken(config: object) -> None:
    """Check the pattern by which Mistral's tokenizer splits a text."""
    pattern = config.get("pattern") if isinstance(config, dict) else None
    if isinstance(pattern, str) and not ends_on_text(pattern):
        message = f"config.pattern in {_TEKKEN} is {pattern[:100]!r}, which can match without end"
        raise UnsafeModel(message)
