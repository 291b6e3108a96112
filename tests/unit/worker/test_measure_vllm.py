import math
import socket
import sys
from io import StringIO
from itertools import chain, repeat
from pathlib import Path

import pytest

from qmodel.api.serving import Engine
from qmodel.worker import processes
from qmodel.worker.errors import EngineFailed, OutOfMemory
from qmodel.worker.manifest import write_manifest
from qmodel.worker.measure import run, server, vllm
from qmodel.worker.measure.engine import Peaks
from qmodel.worker.progress import Progress
from qmodel.worker.task import MeasureTask

MIB = 2**20
CONTEXT = 512
SLOTS = 3
KV_BYTES = 2176 * 23_040
FAKE_SERVER = Path(__file__).with_name("fake_vllm_server.py")


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the version of a package that is installed here: vLLM is only in its image."""
    monkeypatch.setattr(vllm, "DISTRIBUTIONS", ("vllm-of-another-name", "httpx"))


def measure(tmp_path: Path, mode: str = "serve") -> tuple[Path, MeasureTask]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    (tmp_path / "model.safetensors").write_bytes(b"0")
    write_manifest(tmp_path, {})
    log = tmp_path / "requests.log"
    program = [sys.executable, str(FAKE_SERVER), mode, str(log), str(port)]
    flags = ["--served-model-name", "m", "--kv-cache-memory-bytes", str(KV_BYTES)]
    task = MeasureTask(
        engine=Engine.VLLM,
        directory=str(tmp_path),
        argv=[*program, *flags],
        port=port,
        context_length=CONTEXT,
        concurrency=SLOTS,
    )
    return log, task


def test_every_sequence_is_filled_at_once(tmp_path: Path) -> None:
    log, task = measure(tmp_path)
    footprint = run(task, Progress("measure", StringIO()))
    requests = log.read_text().splitlines()
    assert requests == ["200+1"] + [f"{CONTEXT - 32}+32"] * SLOTS + ["16+64"] * SLOTS
    assert footprint.weights_bytes == 444_596_224
    assert footprint.kv_bytes == KV_BYTES
    assert footprint.kv_bytes_per_token == 23_040
    assert footprint.peak_bytes >= (footprint.start_peak_bytes or 0) > 0
    assert len(footprint.processes or []) == 2
    assert footprint.engine_version.startswith("vLLM 0.")


def test_a_model_without_a_chat_template_is_asked_in_no_chat(tmp_path: Path) -> None:
    _, task = measure(tmp_path, "no-template")
    with pytest.raises(EngineFailed, match="chat template"):
        run(task, Progress("measure", StringIO()))
    found = run(task.model_copy(update={"chats": False}), Progress("measure", StringIO()))
    assert found.first_token_seconds > 0


def test_nothing_of_the_server_outlives_its_measurement(tmp_path: Path) -> None:
    log, task = measure(tmp_path)
    run(task, Progress("measure", StringIO()))
    engine = int(log.with_suffix(".engine").read_text())
    assert processes.private_bytes(engine) == 0


def test_why_an_engine_did_not_start_is_told_before_that_it_did_not(tmp_path: Path) -> None:
    _, task = measure(tmp_path, "start-fails")
    expected = "exit status 1:\nValueError: To serve at least one request\n"
    with pytest.raises(EngineFailed, match=expected):
        run(task, Progress("measure", StringIO()))


def test_what_was_caught_is_not_the_cause_and_errors_of_libraries_are(tmp_path: Path) -> None:
    _, task = measure(tmp_path)
    reader = vllm.VLLM(task)
    prefix = "(EngineCore pid=6) ERROR 11-23 09:13:21 [core.py:1130] "
    for line in (
        "Traceback (most recent call last):",
        "ModuleNotFoundError: No module named 'torchvision'",
        "During handling of the above exception, another exception occurred:",
        "torch._inductor.exc.InvalidCxxCompiler: No working C++ compiler found",
        "The above exception was the direct cause of the following exception:",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    ):
        reader.read(prefix + line)
    assert reader.errors() == [
        "torch._inductor.exc.InvalidCxxCompiler: No working C++ compiler found"
    ]


def test_what_one_process_caught_is_another_s_cause(tmp_path: Path) -> None:
    _, task = measure(tmp_path)
    reader = vllm.VLLM(task)
    first, second = "(Worker_TP0 pid=7) ERROR [a.py:1] ", "(Worker_TP1 pid=8) ERROR [a.py:1] "
    reader.read(f"{first}KeyError: 'tried first'")
    reader.read(f"{second}ValueError: the cause")
    reader.read(f"{first}During handling of the above exception, another exception occurred:")
    assert reader.errors() == ["ValueError: the cause"]


def test_a_server_that_lost_its_engine_exits_with_0_and_is_no_success(tmp_path: Path) -> None:
    _, task = measure(tmp_path, "engine-dies")
    with pytest.raises(EngineFailed, match="exit status 0"):
        run(task, Progress("measure", StringIO()))


@pytest.mark.parametrize("how", ["engine-dies", "engine-dies-first"])
def test_an_engine_that_was_killed_for_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    _, task = measure(tmp_path, how)
    kills = chain([4], repeat(5))
    monkeypatch.setattr(server, "out_of_memory_kills", lambda: next(kills))
    with pytest.raises(OutOfMemory, match="memory limit"):
        run(task, Progress("measure", StringIO()))


def test_weights_of_several_gpus_are_summed(tmp_path: Path) -> None:
    engine = vllm.VLLM(measure(tmp_path)[1])
    for rank in range(2):
        engine.read(
            f"(Worker_TP{rank} pid=9) INFO Model loading took 1.5 GiB memory and 2.1 seconds"
        )
    parts = engine.parts(Peaks(0, 0, 3000 * MIB, 4000 * MIB, []))
    assert parts.weights == 3 * 2**30
    assert parts.device == 4000 * MIB
    assert parts.other == 3000 * MIB


def test_on_a_cpu_load_is_what_comes_on_top_of_start(tmp_path: Path) -> None:
    engine = vllm.VLLM(measure(tmp_path)[1])
    engine.read("(Worker pid=7) INFO 11-23 09:13:20 [vllm_worker.py:28] Weights hold 1000 bytes")
    parts = engine.parts(Peaks(100 * MIB, 90 * MIB, 120 * MIB, 0, []))
    assert parts.compute == 30 * MIB
    assert parts.weights + parts.kv + parts.compute + parts.other == 120 * MIB


def test_on_a_cpu_the_first_token_may_take_as_long_as_the_job(tmp_path: Path) -> None:
    _, task = measure(tmp_path)
    assert vllm.VLLM(task).stall_seconds == math.inf
    on_gpus = task.model_copy(update={"argv": [*task.argv, vllm.PARALLEL, "1"]})
    assert vllm.VLLM(on_gpus).stall_seconds == 3600
