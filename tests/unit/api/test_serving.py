"""What a server may be asked for."""

import pytest
from pydantic import ValidationError

from qmodel.api.serving import Serving


def test_tokens_that_engines_cannot_count_are_refused() -> None:
    assert Serving(context_length=8_388_607, concurrency=256)
    with pytest.raises(ValidationError, match="contextLength times concurrency must be at most"):
        Serving(context_length=8_388_608, concurrency=256)
