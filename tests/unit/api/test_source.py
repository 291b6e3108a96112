"""What a source may be called, as the CRD's patterns have it."""

from typing import Any

import pytest
from pydantic import ValidationError

from qmodel.api.source import Source

DIGEST = f"sha256:{'0' * 64}"

GOOD: list[dict[str, Any]] = [
    {"s3": {"uri": "s3://models"}},
    {"s3": {"uri": "s3://my.models-1/a b/c.gguf", "endpoint": "http://10.0.0.1:9000/"}},
    {"s3": {"uri": "s3://models/a", "region": "eu-central-1"}},
    {"oci": {"reference": "ghcr.io/a/b-c_d.e/f:V1.0"}},
    {"oci": {"reference": f"localhost:5000/a:1@{DIGEST}", "file": "a/b.gguf"}},
    {"huggingFace": {"repository": "a/b", "include": ["*.gguf"], "exclude": ["a[0-9]/*"]}},
]
BAD: list[dict[str, Any]] = [
    {"s3": {"uri": "https://models"}},
    {"s3": {"uri": "s3://Models/a"}},
    {"s3": {"uri": "s3://models/a\nb"}},
    {"s3": {"uri": "s3://models", "endpoint": "ftp://host"}},
    {"s3": {"uri": "s3://models", "endpoint": "https://user:pass@host"}},
    {"s3": {"uri": "s3://models", "endpoint": "https://host/path"}},
    {"oci": {"reference": "https://ghcr.io/a"}},
    {"oci": {"reference": "ghcr.io"}},
    {"oci": {"reference": "ghcr.io/A"}},
    {"oci": {"reference": "ghcr.io/../a"}},
    {"oci": {"reference": "ghcr.io/a@sha256:0"}},
    {"oci": {"reference": "ghcr.io/a", "file": "a.bin"}},
    {"huggingFace": {"repository": "a/b", "include": []}},
    {"huggingFace": {"repository": "a/b", "include": ["*"] * 33}},
    {"s3": {"uri": "s3://models"}, "oci": {"reference": "ghcr.io/a"}},
]


@pytest.mark.parametrize("members", GOOD)
def test_what_is_taken(members: dict[str, Any]) -> None:
    (kind,) = members
    assert members[kind].items() <= Source.model_validate(members).to_wire()[kind].items()


@pytest.mark.parametrize("members", BAD)
def test_what_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Source.model_validate(members)
