"""Running other programs with their talk folded into one line, unless they fail."""

import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ERROR_LINES = 40
"""So many last lines of a failed program are shown."""


class DemoError(Exception):
    """Something a person has to know."""


class Commands:
    """Programs in the environment of one cluster.

    Parameters
    ----------
    variables
        Set beside those of this process, such as KUBECONFIG.
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        paths = f"{REPOSITORY / 'operator'}:{REPOSITORY / 'tests'}"
        self.environment = {**os.environ, "PYTHONPATH": paths, **(variables or {})}

    def run(
        self,
        command: Sequence[str | Path],
        tell: Callable[[str], None] = lambda _: None,
        *,
        stdin: str = "",
        seconds: float = 300,
    ) -> str:
        """Run a program to its end, telling each line that it writes to stderr.

        Returns
        -------
        str
            What it wrote to stdout.

        Raises
        ------
        DemoError
            It failed or took too long; with the last lines that it wrote.
        """
        words = [str(word) for word in command]
        tail: deque[str] = deque(maxlen=ERROR_LINES)
        started = time.monotonic()

        def take(line: str) -> None:
            tail.append(line)
            tell(line)

        with (
            tempfile.TemporaryFile("w+") as stdout,
            subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                cwd=REPOSITORY,
                env=self.environment,
            ) as process,
        ):
            alarm = threading.Timer(seconds, process.kill)
            alarm.start()
            _exchange(process, stdin, take)
            alarm.cancel()
            stdout.seek(0)
            printed = stdout.read()
        if process.returncode == 0:
            return printed
        late = time.monotonic() - started > seconds
        how = f"not done after {seconds:.0f} s" if late else f"exit status {process.returncode}"
        text = "\n".join([*tail, *printed.splitlines()[-ERROR_LINES:]])
        message = f"{shlex.join(words)}: {how}\n{text}"
        raise DemoError(message)

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """Run kubectl."""
        return self.run(["kubectl", *words], stdin=stdin)

    def harness(
        self, *words: str, tell: Callable[[str], None] = lambda _: None, seconds: float = 300
    ) -> str:
        """Run a verb of tests/cluster."""
        return self.run([sys.executable, "tests/cluster", *words], tell, seconds=seconds)

    def attached(self, *words: str) -> int:
        """Run the project's own command line on this terminal; returns its exit status."""
        command = [sys.executable, "-m", "qmodel.cli", *words]
        return subprocess.run(command, cwd=REPOSITORY, env=self.environment, check=False).returncode

    def qmodel(self, *words: str, seconds: float = 300) -> str:
        """Run the project's own command line; returns what it prints."""
        return self.run([sys.executable, "-m", "qmodel.cli", *words], seconds=seconds)


def _exchange(process: subprocess.Popen[str], stdin: str, take: Callable[[str], object]) -> None:
    """Feed a program and take its lines until it ends."""
    if process.stdin is None or process.stderr is None:
        message = "the program was started without pipes"
        raise ValueError(message)
    process.stdin.write(stdin)
    process.stdin.close()
    for line in process.stderr:
        if line.strip():
            take(line.strip())
    process.wait()
