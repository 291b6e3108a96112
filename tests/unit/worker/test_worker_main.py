import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from qmodel.worker import __main__ as worker
from qmodel.worker import verify
from qmodel.worker.errors import AccessDenied, EngineFailed, HubUnavailable
from qmodel.worker.manifest import write_manifest
from qmodel.worker.report import MAX_REPORT_BYTES, Fetched, Report

FETCH = {
    "step": "fetch",
    "source": {"kind": "Folder", "path": "/source"},
    "sourceRevision": "0" * 40,
    "directory": "/artifacts/sources/1",
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "termination"


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    """Give back what a step changes in its process."""
    handler, logger = signal.getsignal(signal.SIGTERM), logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", os.environ.copy())
        yield
    signal.signal(signal.SIGTERM, handler)
    logging.captureWarnings(capture=False)
    logger.handlers[:], logger.level = handlers, level


def answers(monkeypatch: pytest.MonkeyPatch, result: object) -> None:
    """Let the fetch step return or raise `result`."""

    def run(_task: object, _progress: object) -> object:
        if isinstance(result, BaseException):
            raise result
        return result

    module = ModuleType("qmodel.worker.fetch")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "qmodel.worker.fetch", module)


def start(log: Path, task: Any = FETCH) -> tuple[int, Report]:
    text = task if isinstance(task, str) else json.dumps(task)
    status = worker.main(["--task", text, "--termination-log", str(log)])
    content = log.read_bytes()
    assert len(content) < MAX_REPORT_BYTES
    return status, Report.model_validate_json(content)


def test_a_result_fills_its_block(monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    answers(monkeypatch, Fetched(bytes=7, files=2))
    assert start(log) == (0, Report(step="fetch", fetched=Fetched(bytes=7, files=2)))


def _wrapped(inner: BaseException) -> BaseException:
    error = EngineFailed("quantizing failed")
    error.__cause__ = inner
    return error


@pytest.mark.parametrize(
    ("raised", "reason", "told", "retry"),
    [
        (AccessDenied("set the token"), "AccessDenied", "set the token", None),
        (HubUnavailable("no answer"), "HubUnavailable", "no answer", 15),
        (RuntimeError("surprise"), "InternalError", "RuntimeError: surprise", None),
        (MemoryError(), "OOMKilled", "memory", None),
        (_wrapped(MemoryError()), "OOMKilled", "quantizing failed", None),
        (OSError(28, "No space left", "/tmp/x"), "DiskFull", "/tmp/x", None),
        (_wrapped(OSError(28, "No space left")), "DiskFull", "bytes are free", None),
        (OSError(122, "Quota exceeded", "/tmp/x"), "DiskFull", "/tmp/x", None),
        (SystemExit(3), "InternalError", "SystemExit", None),
        (ValueError("€" * 5000), "InternalError", "ValueError", None),
    ],
)
def test_every_end_is_reported(  # noqa: PLR0917  fixtures and a table
    monkeypatch: pytest.MonkeyPatch,
    log: Path,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    reason: str,
    told: str,
    retry: int | None,
) -> None:
    answers(monkeypatch, raised)
    status, report = start(log)
    assert status == 1
    assert report.step == "fetch"
    assert report.failure is not None
    assert report.failure.reason == reason
    assert told in report.failure.message
    assert report.failure.retry_after_seconds == retry
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line["level"] == "error"
    assert "Traceback" in line["exception"]


@pytest.mark.parametrize(
    ("task", "step", "told"),
    [
        ("{", "unknown", "Invalid JSON"),
        ({"step": "dance"}, "unknown", "dance"),
        ({"step": "dance", "partner": "fetch"}, "unknown", "dance"),
        ({"step": ["fetch"]}, "unknown", "fetch"),
        ("[1]", "unknown", "should be an object"),
        ({"step": "fetch"}, "fetch", "fetch.source: Field required"),
        (FETCH | {"color": "red"}, "fetch", "color: Extra inputs"),
    ],
)
def test_a_task_that_is_none_is_reported(log: Path, task: Any, step: str, told: str) -> None:
    status, report = start(log, task)
    assert status == 1
    assert report.step == step
    assert report.failure is not None
    assert report.failure.reason == "TaskInvalid"
    assert told in report.failure.message


def test_sigterm_is_reported(monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    def run(_task: object, _progress: object) -> Fetched:
        os.kill(os.getpid(), signal.SIGTERM)
        return Fetched(bytes=1, files=1)

    module = ModuleType("qmodel.worker.fetch")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "qmodel.worker.fetch", module)
    status, report = start(log)
    assert status == 1
    assert report.failure is not None
    assert (report.failure.reason, report.failure.retry_after_seconds) == ("Interrupted", 5)


def test_verify_is_a_command_of_its_own(tmp_path: Path, log: Path) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "model.gguf").write_bytes(b"weights")
    write_manifest(folder, {})
    assert verify.main([str(folder), "--termination-log", str(log)]) == 0
    assert Report.model_validate_json(log.read_bytes()) == Report(step="verify")
    (folder / "model.gguf").write_bytes(b"weighty")
    assert verify.main([str(folder), "--termination-log", str(log)]) == 1
    failure = Report.model_validate_json(log.read_bytes()).failure
    assert failure is not None
    assert failure.reason == "ArtifactDamaged"
    assert "model.gguf" in failure.message


def test_a_step_imports_only_its_own_libraries() -> None:
    code = (
        "import sys, qmodel.worker.__main__, qmodel.worker.verify;"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('huggingface_hub', 'httpx2', 'numpy', 'torch', 'llama_cpp', 'kopf', 'aiohttp')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(worker.__file__).parents[2])},
    )
    assert done.stdout.strip() == "[]"
