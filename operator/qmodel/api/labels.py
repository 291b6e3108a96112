"""Keys and values of labels and annotations, as the API server takes them in pods.

What it would refuse in a server's pods is refused here, before hours of work.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from qmodel.api.base import cel, rules

_MAX_PREFIX = 253
"""Characters of a key before its slash."""
_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DNS_NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL_KEY = f"^({_DNS_NAME}/)?{_NAME}$"
_ANNOTATION_KEY = f"^({_DNS_NAME.replace('a-z', 'A-Za-z')}/)?{_NAME}$"
"""The prefix of an annotation may have capitals."""
_KEY_MESSAGE = (
    "a key must be a name of at most 63 letters, digits, '-', '_' and '.', or a DNS name of at most"
    f" {_MAX_PREFIX} characters, '/' and such a name"
)


def _key_rule(pattern: str) -> dict[str, str]:
    """Return the rule of a map's keys, which no schema holds to a pattern."""
    each = f"key.matches('{pattern}') && key.split('/')[0].size() <= {_MAX_PREFIX}"
    return cel(f"self.all(key, {each})", _KEY_MESSAGE)


def _refuse_keys(found: dict[str, str], pattern: str) -> dict[str, str]:
    for key in found:
        if not re.match(pattern, key) or len(key.partition("/")[0]) > _MAX_PREFIX:
            message = f"{key!r}: {_KEY_MESSAGE}"
            raise ValueError(message)
    return found


def _label_keys(found: dict[str, str]) -> dict[str, str]:
    return _refuse_keys(found, _LABEL_KEY)


def _annotation_keys(found: dict[str, str]) -> dict[str, str]:
    return _refuse_keys(found, _ANNOTATION_KEY)


LabelKey = Annotated[str, Field(max_length=_MAX_PREFIX + 64, pattern=_LABEL_KEY)]
"""Name of a label, perhaps with a DNS name and a slash before it."""

LabelValue = Annotated[
    str, Field(max_length=63, pattern="^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
]
"""Value of a label; it may be empty."""

Labels = Annotated[
    dict[str, LabelValue],
    Field(max_length=32, json_schema_extra=rules(_key_rule(_LABEL_KEY))),
    AfterValidator(_label_keys),
]
"""Labels by key."""

Annotations = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]],
    Field(max_length=32, json_schema_extra=rules(_key_rule(_ANNOTATION_KEY))),
    AfterValidator(_annotation_keys),
]
"""Annotations by key."""
