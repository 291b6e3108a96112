import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmodel.worker import processes
from qmodel.worker.measure import memory

MIB = 2**20
PARENT = """
import mmap, subprocess, sys
shared = mmap.mmap(-1, 32 << 20)
shared.write(b"1" * (32 << 20))
held = b"1" * (16 << 20)
child = subprocess.Popen([sys.executable, "-c",
    "held = b'1' * (16 << 20); print('ready', flush=True); input()"], stdin=subprocess.PIPE)
input()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process with 32 MiB shared and 16 of its own, and a child with 16 of its own."""
    command = [sys.executable, "-c", PARENT]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        yield started
        started.kill()


def test_a_tree_holds_what_its_processes_hold(parent: subprocess.Popen[str]) -> None:
    assert len(processes.tree(parent.pid)) == 2
    assert (32 + 2 * 16) * MIB < memory.tree_bytes(parent.pid) < (32 + 2 * 16 + 40) * MIB


def test_a_process_that_ended_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert processes.private_bytes(ended.pid) == 0
    assert processes.name(ended.pid) == ""
    assert processes.tree(ended.pid) == {ended.pid}


def test_a_cgroup_with_other_processes_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parent: subprocess.Popen[str]
) -> None:
    (tmp_path / "memory.stat").write_text("anon 400\nshmem 0\nkernel 0\n")
    monkeypatch.setattr(memory, "V1_MEMORY", tmp_path / "none")
    monkeypatch.setattr(memory, "V2_MEMORY", tmp_path)
    members = tmp_path / "cgroup.procs"
    ours = processes.tree(parent.pid) | {os.getpid()}
    members.write_text("\n".join(map(str, ours)))
    assert memory.cgroup_reader(parent.pid) is not None
    members.write_text("\n".join(map(str, ours | {1})))
    assert memory.cgroup_reader(parent.pid) is None
