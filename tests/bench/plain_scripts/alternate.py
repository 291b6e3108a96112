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
import time
from pathlib import Path

from qmodel.worker.peak import Peak
from qmodel.worker.processes import tree

INTERVAL_SECONDS = 0.02
FIGURES = Path("/tmp/figures.json")
LOG = Path("/tmp/log.txt")
LOG_CHARACTERS = 4000


def memory(pid: int) -> tuple[int, int]:
    """Return the memory of a process's own, and the pages of files that it has mapped, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it ended
        return 0, 0
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    if not kib:  # it ended, but was not waited for
        return 0, 0
    return (kib["RssAnon"] + kib["RssShmem"]) * 1024, kib["RssFile"] * 1024


def tree_bytes(pid: int) -> int:
    """Return what a process and its descendants hold.

    The files that they map are mostly the same, Python's and its libraries': they are in memory
    once, and count as much as one of them has mapped.
    """
    found = [memory(each) for each in tree(pid)]
    return sum(own for own, _ in found) + max(mapped for _, mapped in found)


def run(command: list[str]) -> dict[str, float]:
    """Run one command to its end; return its figures."""
    FIGURES.unlink(missing_ok=True)
    started = time.monotonic()
    with LOG.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        with Peak(lambda: tree_bytes(process.pid), INTERVAL_SECONDS) as peak:
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
        "peakBytes": max(peak.highest, used.ru_maxrss * 1024),
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
