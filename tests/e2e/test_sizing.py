"""The memory limit against the memory that a server takes when every slot is full."""

from collections.abc import Iterator

import pytest

from demo.commands import Commands
from e2e import texts
from e2e.load import outcome_at
from e2e.models import SMOLLM2, Models, from_hub, spec

NAME = "sized"
MEASURED = (1024, 2)
SETTINGS = (MEASURED, (4096, 1), (512, 8))
"""Tokens of a sequence, and sequences at once; the first is measured."""


@pytest.fixture(scope="module")
def served(models: Models) -> Iterator[str]:
    length, count = MEASURED
    serving = {"contextLength": length, "concurrency": count}
    texts.bring(models)
    models.apply(NAME, spec(from_hub(SMOLLM2), "Q8_0", serving=serving, qualityGate=texts.GATE))
    yield NAME
    models.delete(NAME)


@pytest.mark.parametrize(("length", "count"), SETTINGS)
def test_the_limit_lies_just_above_the_peak(
    models: Models, commands: Commands, served: str, length: int, count: int
) -> None:
    found = outcome_at(commands, models, served, length, count)
    assert found.measured == ((length, count) == MEASURED)
    assert len(models.jobs(served, "measure")) == 1
    assert found.limit_bytes >= found.peak_bytes
    assert found.spare_bytes <= found.most_spare_bytes
