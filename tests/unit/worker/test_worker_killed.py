"""A fetch in a process of its own that is asked to end, or killed, while bytes arrive."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sparse_models import LLAMA, llama_shapes, write_model

from hub.faults import Fault
from hub.server import Hub
from qmodel.worker import __main__ as worker
from qmodel.worker.manifest import complete
from qmodel.worker.report import Report

WIDE = LLAMA | {"vocab_size": 64_000}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    write_model(tmp_path / "repositories/test/wide", WIDE, llama_shapes(WIDE))
    with Hub(tmp_path / "repositories") as running:
        yield running


def start(hub: Hub, folder: Path) -> "subprocess.Popen[bytes]":
    repository = hub.store.repository("test/wide")
    assert repository is not None
    task = {
        "step": "fetch",
        "source": {
            "kind": "HuggingFace",
            "endpoint": hub.url,
            "repository": "test/wide",
            "revision": "main",
        },
        "sourceRevision": repository.commit,
        "directory": str(folder / "source"),
    }
    command = [sys.executable, "-m", "qmodel.worker", "--task", json.dumps(task)]
    environment = os.environ | {"PYTHONPATH": str(Path(worker.__file__).parents[2])}
    return subprocess.Popen(
        [*command, "--termination-log", str(folder / "log")],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_bytes(path: Path, count: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists() or path.stat().st_size < count:
        assert time.monotonic() < deadline, f"{path} stays below {count} bytes"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_arrived_is_not_asked_for_again(
    hub: Hub, tmp_path: Path, number: signal.Signals
) -> None:
    hub.faults.add(Fault(kind="slow", path="_cdn", bytes_per_second=4_000_000))
    weights = tmp_path / "source.partial" / "model.safetensors"
    with start(hub, tmp_path) as process:
        wait_for_bytes(weights, 1 << 20)
        process.send_signal(number)
        assert process.wait(timeout=20) == (1 if number == signal.SIGTERM else -signal.SIGKILL)
    if number == signal.SIGTERM:
        failure = Report.model_validate_json((tmp_path / "log").read_bytes()).failure
        assert failure is not None
        assert (failure.reason, failure.retry_after_seconds) == ("Interrupted", 5)
    arrived = weights.stat().st_size
    hub.faults.clear()
    hub.log.clear()
    with start(hub, tmp_path) as process:
        assert process.wait(timeout=30) == 0
    assert complete(tmp_path / "source")
    ranges = [entry.range for entry in hub.log if "_cdn" in entry.path]
    assert ranges == [f"bytes={arrived}-"]
