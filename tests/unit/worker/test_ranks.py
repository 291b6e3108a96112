"""Ranks are real processes here; what they do is not llm-compressor's (`make bench-ranks`)."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from qmodel.worker.backends import ranks
from qmodel.worker.backends.ranks import Place
from qmodel.worker.errors import DiskFull, OutOfMemory

LONG_SECONDS = 600
"""No test waits for it: the rank is ended before."""


def note(folder: Path, place: Place) -> None:
    (folder / str(place.rank)).write_text(f"{os.getpid()} {place.count} {place.threads}")


def fail(how: str, folder: Path, place: Place) -> None:
    note(folder, place)
    if place.rank == 0:
        time.sleep(LONG_SECONDS)
    while not (folder / "0").exists():
        time.sleep(0.01)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    message = "the volume is full"
    raise DiskFull(message)


def noted(folder: Path) -> list[list[int]]:
    return [[int(word) for word in (folder / str(rank)).read_text().split()] for rank in (0, 1)]


def test_a_single_rank_is_the_step_itself(tmp_path: Path) -> None:
    ranks.run(partial(note, tmp_path), 1, 4)
    assert (tmp_path / "0").read_text() == f"{os.getpid()} 1 4"


def test_several_ranks_are_processes_that_divide_the_threads(tmp_path: Path) -> None:
    ranks.run(partial(note, tmp_path), 2, 4)
    (first, *shares), (second, *_) = noted(tmp_path)
    assert len({first, second, os.getpid()}) == 3
    assert shares == [2, 2]


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        ("raise", DiskFull, "the volume is full"),
        ("kill", OutOfMemory, "rank 1 was killed"),
    ],
)
def test_the_first_rank_to_fail_ends_the_others_and_says_why(
    how: str, error: type[Exception], told: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=told):
        ranks.run(partial(fail, how, tmp_path), 2, 2)
    for pid, *_ in noted(tmp_path):
        assert not Path(f"/proc/{pid}").exists()
