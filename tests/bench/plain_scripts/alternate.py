"""Runs two commands in turns, and tells what each took: one JSON line a run.

JSON in argv: how many rounds, and of each side its command, the folder that it writes into, and
where below it the weights are.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from qmodel.worker.processes import tree

INTERVAL_SECONDS = 0.02
FIGURES = Path("/tmp/figures.json")
LOG = Path("/tmp/log.txt")
LOG_CHARACTERS = 4000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """Return what a process holds; 0 once it ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


class Peak:
    """The most that a process and its descendants hold together, looked at while a block runs."""

    def __init__(self, pid: int) -> None:
        self._pid, self.bytes, self._done = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            self.bytes = max(self.bytes, sum(map(resident_bytes, tree(self._pid))))


def run(command: list[str]) -> dict[str, float]:
    """Run one command to its end; return its figures."""
    FIGURES.unlink(missing_ok=True)
    started = time.monotonic()
    with LOG.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        with Peak(process.pid) as peak:
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if status != 0:
        sys.exit(f"{command} failed: {LOG.read_text()[-LOG_CHARACTERS:]}")
    seconds = used.ru_utime + used.ru_stime
    told = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    return {
        "seconds": time.monotonic() - started,
        "cpuSeconds": seconds,
        "backendSeconds": seconds,
        # The kernel knows the peak of the largest process exactly, but not that of all together.
        "peakBytes": max(peak.bytes, used.ru_maxrss * 1024),
        **told,
    }


def weights(folder: Path) -> dict[str, str | int]:
    """Return size and digest of the weights that a command wrote."""
    digest, size = hashlib.sha256(), 0
    for path in sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.gguf")]):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        size += path.stat().st_size
    return {"weightBytes": size, "weightDigest": digest.hexdigest()}


def main() -> None:
    """Run all."""
    asked = json.loads(sys.argv[1])
    os.environ["BENCH_FIGURES"] = str(FIGURES)
    for _ in range(asked["rounds"]):
        for name, side in asked["sides"].items():
            shutil.rmtree(side["folder"], ignore_errors=True)
            Path(side["folder"]).mkdir(parents=True)
            found = run(side["command"])
            found |= weights(Path(side["folder"], side["made"]))
            print(json.dumps({"side": name, **found}), flush=True)
            shutil.rmtree(side["folder"])


main()
