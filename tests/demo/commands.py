"""Running other programs with their talk folded into one line, unless they fail."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cluster.commands import ClusterError, follow
from cluster.settings import REPOSITORY


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
        try:
            return follow(
                command,
                lambda line: tell(line.strip()) if line.strip() else None,
                timeout=seconds,
                stdin=stdin,
                apart=True,
                environment=self.environment,
                folder=REPOSITORY,
            )
        except ClusterError as error:
            raise DemoError(str(error)) from error

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
