"""Runs an engine's command-line tool and says why it died."""

import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from qmodel.worker.errors import DiskFull, EngineFailed, OutOfMemory

LLAMA_HOME = Path(os.environ.get("QMODEL_LLAMACPP_HOME", "/opt/llama"))
"""Where the image keeps llama.cpp: bin/ and convert/."""
LINES_KEPT = 8
LINE_LENGTH = 300
"""What of the log goes into a failure's message: a report holds 4,096 bytes in all."""


def run_tool(
    argv: Sequence[str],
    on_line: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a tool to its end, handing over each line of its output.

    Parameters
    ----------
    argv
        Program and arguments; no shell reads them.
    on_line
        Called with each line, carriage returns counting as line ends.
    environment
        Variables set besides the worker's own.

    Raises
    ------
    OutOfMemory
        If the tool was killed.
    DiskFull
        If the tool says that the disk is full.
    EngineFailed
        If it failed otherwise; the message ends with its last lines.
    """
    tail: deque[str] = deque(maxlen=LINES_KEPT)
    with subprocess.Popen(  # noqa: S603  argv, never a shell line
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    ) as process:
        try:
            for line in lines_of(process.stdout):
                tail.append(line)
                on_line(line)
        except BaseException:
            process.kill()
            raise
    check_exit(os.path.basename(argv[0]), process.returncode, tail)  # noqa: PTH119  a name only


def lines_of(stream: IO[bytes] | None) -> Iterator[str]:
    """Yield non-empty lines as they come; progress bars end theirs with a carriage return."""
    rest = b""
    while stream is not None and (block := os.read(stream.fileno(), 65_536)):
        *complete, rest = re.split(rb"[\r\n]+", rest + block)
        yield from (line.decode(errors="replace").strip() for line in complete if line.strip())
    if rest.strip():
        yield rest.decode(errors="replace").strip()


def check_exit(program: str, code: int, tail: Sequence[str]) -> None:
    """Raise what the exit status of a tool stands for; return if it is 0."""
    if code == 0:
        return
    if code == -signal.SIGKILL:
        message = f"{program} was killed: its container reached its memory limit"
        raise OutOfMemory(message)
    lines = "\n".join(line[:LINE_LENGTH] for line in tail)
    if "No space left on device" in lines:
        message = f"{program} could not write: the volume is full"
        raise DiskFull(message)
    how = f"exit status {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
    message = f"{program} failed with {how}:\n{lines}"
    raise EngineFailed(message)
