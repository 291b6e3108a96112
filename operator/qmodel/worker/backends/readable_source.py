"""A source's folder as the transformers at hand reads it rightly."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import transformers
from transformers import CONFIG_MAPPING

from qmodel.worker.backends import legacy_config
from qmodel.worker.errors import UnsupportedModel
from qmodel.worker.legacy_limits import ALTERNATIVE

FIRST_NEW = 5
"""Major version that writes configs which older ones read wrongly."""


@contextmanager
def readable_source(source: Path) -> Iterator[Path]:
    """Yield `source`, or beside the old transformers a copy with its configs in the old words.

    Raises
    ------
    UnsupportedModel
        If something in the config has no certain meaning in the old version.
    """
    if int(transformers.__version__.partition(".")[0]) >= FIRST_NEW:
        yield source
    else:
        with legacy_config.readable(source, known_keys) as folder:
            yield folder


def known_keys(model_type: str) -> Collection[str]:
    """Return the keys of a model type's config; UnsupportedModel if the type is younger."""
    if model_type not in CONFIG_MAPPING:
        message = f"models of type {model_type} are younger than transformers 4.51: {ALTERNATIVE}"
        raise UnsupportedModel(message)
    return set(CONFIG_MAPPING[model_type]().to_dict())
