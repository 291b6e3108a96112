import os
import socket
import sys
import threading
from io import StringIO
from pathlib import Path

import pytest

from qmodel.api.serving import Engine
from qmodel.worker.errors import EngineFailed, OutOfMemory
from qmodel.worker.manifest import write_manifest
from qmodel.worker.measure import run
from qmodel.worker.measure.buffers import Buffers
from qmodel.worker.measure.memory import PeakMemory, tree_bytes, v1_bytes, v2_bytes
from qmodel.worker.progress import Progress
from qmodel.worker.task import MeasureTask

MEBIBYTE = 2**20
CONTEXT = 512
SLOTS = 3

LOG = """\
0.00.298.436 I load_tensors:          CPU model buffer size =    91.27 MiB
0.00.298.829 I load_tensors:   CPU_REPACK model buffer size =     7.59 MiB
0.00.455.460 I llama_context:        CPU  output buffer size =     0.38 MiB
0.00.455.579 I llama_kv_cache:        CPU KV buffer size =    45.00 MiB
0.00.487.681 I llama_kv_cache: size =   45.00 MiB (  1024 cells,  30 layers,  2/2 seqs), K (f16):\
   22.50 MiB, V (f16):   22.50 MiB
0.00.494.401 I sched_reserve:        CPU compute buffer size =    14.51 MiB
"""

FAKE_SERVER = Path(__file__).with_name("fake_llama_server.py")


def buffers_of(log: str) -> Buffers:
    buffers = Buffers()
    for line in log.splitlines():
        buffers.line(line)
    return buffers


def test_buffers_of_a_real_log() -> None:
    buffers = buffers_of(LOG)
    assert buffers.weights == pytest.approx(98.86 * MEBIBYTE, abs=2)
    assert buffers.kv == 45 * MEBIBYTE
    assert buffers.compute == pytest.approx(14.89 * MEBIBYTE, abs=2)
    assert buffers.device == 0
    assert buffers.kv_bytes_per_token(1000) == 2 * 3 * 64 * 2 * 30


def test_buffers_on_a_device_are_told_apart() -> None:
    buffers = buffers_of(
        "load_tensors:        CUDA0 model buffer size =   600.00 MiB\n"
        "load_tensors:   CPU_Mapped model buffer size =   100.00 MiB\n"
        "sched_reserve:      CUDA0 compute buffer size =   50.00 MiB\n"
        "sched_reserve:  CUDA_Host compute buffer size =   10.00 MiB\n"
    )
    assert buffers.device == 650 * MEBIBYTE
    assert buffers.host == 110 * MEBIBYTE


def test_sliding_windows_do_not_grow_with_the_context() -> None:
    buffers = buffers_of(
        "llama_kv_cache: size =   32.00 MiB (  8192 cells,   4 layers,  1/1 seqs), K (f16): 1 MiB\n"
        "llama_kv_cache: size =   20.00 MiB (  1024 cells,  20 layers,  1/1 seqs), K (f16): 1 MiB\n"
    )
    assert buffers.kv_bytes_per_token(8192) == 32 * MEBIBYTE // 8192


def test_cgroup_v1_counts_no_file_pages(tmp_path: Path) -> None:
    (tmp_path / "memory.stat").write_text("cache 900\nrss 100\nshmem 20\ntotal_rss 100\n")
    (tmp_path / "memory.kmem.usage_in_bytes").write_text("7\n")
    assert v1_bytes(tmp_path) == 127


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [("kernel 9\nslab 4\n", 129), ("slab 4\nkernel_stack 2\npagetables 1\n", 127)],
)
def test_cgroup_v2_counts_no_file_pages(tmp_path: Path, kernel: str, expected: int) -> None:
    (tmp_path / "memory.stat").write_text(f"anon 100\nfile 900\nshmem 20\n{kernel}")
    assert v2_bytes(tmp_path) == expected


def test_peak_of_memory_that_is_gone_again() -> None:
    before = tree_bytes(os.getpid())
    with PeakMemory(os.getpid()) as memory:
        held = bytearray(os.urandom(1)) * (64 * MEBIBYTE)
        del held
        peak = memory.bytes()
    assert peak >= before + 60 * MEBIBYTE


def measure(tmp_path: Path, free_port: int, mode: str = "serve") -> tuple[Path, MeasureTask]:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    write_manifest(tmp_path, {})
    log = tmp_path / "requests.log"
    program = tmp_path / "llama-server"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} {FAKE_SERVER} {mode} {log} {free_port} "$@"\n'
    )
    program.chmod(0o755)
    task = MeasureTask(
        engine=Engine.LLAMA_CPP,
        directory=str(tmp_path),
        argv=[str(program), "--alias", "model", "--ctx-size", str(CONTEXT * SLOTS)],
        port=free_port,
        context_length=CONTEXT,
        concurrency=SLOTS,
    )
    return log, task


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_every_slot_is_filled_at_once(tmp_path: Path, free_port: int) -> None:
    log, task = measure(tmp_path, free_port)
    stream = StringIO()
    before = threading.enumerate()
    footprint = run(task, Progress("measure", stream))
    full, short = log.read_text().splitlines()[:SLOTS], log.read_text().splitlines()[SLOTS:]
    assert full == [f"{CONTEXT - 32}+32"] * SLOTS
    assert short == ["16+64"] * SLOTS
    assert footprint.kv_bytes == 45 * MEBIBYTE
    assert footprint.kv_bytes_per_token == 23040
    assert footprint.peak_bytes > 0
    assert footprint.engine_version == "0.5.0-dev (build 0, commit unknown)"
    assert footprint.tokens_per_second > 0
    assert '"percent":100' in stream.getvalue()
    assert not set(threading.enumerate()) - set(before)


@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("refuse", EngineFailed, "exit status 1:\nerror: invalid argument"),
        ("killed-loading", OutOfMemory, "memory limit"),
        ("killed-serving", OutOfMemory, "memory limit"),
        ("no-template", EngineFailed, "refused /v1/chat/completions: .*template"),
    ],
)
def test_death_of_the_server_is_explained(
    tmp_path: Path, free_port: int, mode: str, error: type[Exception], message: str
) -> None:
    _, task = measure(tmp_path, free_port, mode)
    with pytest.raises(error, match=message):
        run(task, Progress("measure", StringIO()))


def test_program_that_is_missing_is_named(tmp_path: Path, free_port: int) -> None:
    _, task = measure(tmp_path, free_port)
    missing = task.model_copy(update={"argv": ["/missing/llama-server", "--alias", "a"]})
    with pytest.raises(EngineFailed, match="/missing/llama-server"):
        run(missing, Progress("measure", StringIO()))
