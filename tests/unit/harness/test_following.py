"""Programs that the harness runs while somebody listens to what they say."""

import sys
import threading
import time

import pytest

from cluster.commands import ClusterError, follow, wait_until

SPEAK = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"]
LATER = [sys.executable, "-uc", "print('begun'); import time; time.sleep(60)"]


def nothing(_: str) -> None:
    """Do not listen."""


def test_each_line_is_heeded() -> None:
    heard: list[str] = []
    assert follow(SPEAK, heard.append, timeout=30) == ""
    assert sorted(heard) == ["err", "out"]


def test_stdout_is_returned_where_it_is_kept_apart() -> None:
    heard: list[str] = []
    assert follow(SPEAK, heard.append, timeout=30, apart=True) == "out\n"
    assert heard == ["err"]


def test_what_it_is_given_is_read() -> None:
    echo = [sys.executable, "-c", "print(input())"]
    assert follow(echo, nothing, timeout=30, stdin="a word\n", apart=True) == "a word\n"


def test_a_failure_tells_the_status_and_the_last_words() -> None:
    fail = [sys.executable, "-c", "print('why'); raise SystemExit(3)"]
    with pytest.raises(ClusterError, match=r"exit status 3\nwhy"):
        follow(fail, nothing, timeout=30, apart=True)


def test_what_takes_too_long_is_told_so() -> None:
    with pytest.raises(ClusterError, match=r"not done after 1 s\nbegun"):
        follow(LATER, nothing, timeout=1)


def test_a_listener_that_fails_leaves_neither_program_nor_timer() -> None:
    def refuse(line: str) -> None:
        raise ValueError(line)

    before = threading.active_count()
    started = time.monotonic()
    with pytest.raises(ValueError, match="begun"):
        follow(LATER, refuse, timeout=30)
    assert time.monotonic() - started < 20
    wait_until("the timer is gone", lambda: threading.active_count() == before, 5)
