"""What the build of an image is told by whichever program, and a person while it runs."""

import configparser
import os
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.commands import say

BUILD_SECONDS = 3600
ANSWER_SECONDS = 10
SILENT_SECONDS = 20
"""After that the next line of a compiler or of pip is shown, whatever it says."""
LINE_LENGTH = 110

PIP_SETTINGS = (
    "cert",
    "default_timeout",
    "extra_index_url",
    "find_links",
    "index_url",
    "trusted_host",
)
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where pip finds the CPU build of torch when no setting says otherwise; PyPI has CUDA builds."""

_STEP = re.compile(r"(\[\d+/\d+\] )?STEP |#\d+ \[(?!internal|auth)[^]]+\] (?!FROM )")
"""How buildah and BuildKit open their line for a line of a Dockerfile."""
_CACHED = re.compile(r"#\d+ CACHED$")
"""What BuildKit says next of a line that it need not carry out."""
_DIGEST = re.compile(r"#\d+ sha256:[0-9a-f]+$")
"""What BuildKit of before docker 23 says first of each line."""


@dataclass(frozen=True)
class Build:
    """What to build: the image's reference, its Dockerfile, the stage of it, and the context."""

    reference: str
    dockerfile: Path
    stage: str
    context: Path

    @property
    def name(self) -> str:
        """What it is called while it is built."""
        return self.reference.rpartition("/")[2].partition(":")[0]

    def words(self) -> list[str | Path]:
        """Return the arguments that docker and buildah have in common."""
        stage = ["--target", self.stage] if self.stage else []
        return [*stage, "--tag", self.reference, "--file", self.dockerfile, self.context]


def teller(name: str) -> Callable[[str], None]:
    """Return what shows the line of a Dockerfile that is worked on, and how far long ones are.

    Of a program that works off no Dockerfile, now and then a line is shown.

    Parameters
    ----------
    name
        Of the image, before each line: two may be built at once.
    """
    shown = time.monotonic()
    steps: set[str] = set()
    held = ""

    def show(indent: str, line: str) -> None:
        nonlocal shown
        shown = time.monotonic()
        say(f"    {name}: {indent}{line.strip()[:LINE_LENGTH]}")

    def tell(line: str) -> None:
        nonlocal held
        if _DIGEST.match(line):
            return
        if held and not _CACHED.match(line):
            show("", held)
        held = ""
        if line in steps:
            return
        if _STEP.match(line):
            steps.add(line)
            if line.startswith("#"):
                held = line  # BuildKit's next line tells whether it is worked on
            else:
                show("", line)
        elif line.strip() and time.monotonic() > shown + SILENT_SECONDS:
            show("  ", line)

    return tell


def pip_settings() -> dict[str, str]:
    """Read pip's own settings: its files, then its variables."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(["/etc/pip.conf", Path.home() / ".config/pip/pip.conf"])
    settings = dict(parser["global"]) if parser.has_section("global") else {}
    for name in PIP_SETTINGS:
        if value := os.environ.get(f"PIP_{name.upper()}"):
            settings[name.replace("_", "-")] = value
    links = [link for link in settings.get("find-links", "").split() if _offers_files(link)]
    settings["find-links"] = " ".join(links)
    if not links and not settings.keys() & {"index-url", "extra-index-url"}:
        if _answers(TORCH_CPU_INDEX):
            settings["extra-index-url"] = TORCH_CPU_INDEX
        else:
            say("    no source of torch's build for CPU: its build for CUDA, gigabytes, is taken")
    return settings


def _answers(index: str) -> bool:
    """Tell whether a package index can be reached; pip retries one that cannot for minutes."""
    try:
        with urllib.request.urlopen(index, timeout=ANSWER_SECONDS):  # noqa: S310  a constant
            return True
    except OSError:
        return False


def _offers_files(link: str) -> bool:
    """Tell whether a place to find wheels is a URL, or a folder that holds any."""
    folder = Path(link)
    return not folder.is_absolute() or (folder.is_dir() and any(folder.glob("*.whl")))
