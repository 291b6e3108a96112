"""What the operator says of its images, held against the images."""

import re
from pathlib import Path

from e2e import pods
from e2e.models import Models
from qmodel.planner.cpu_architectures import NOT_ON_CPU
from qmodel.worker.inspect.vllm_architectures import VLLM

SECONDS = 60
DATA = Path(__file__).parents[1] / "unit" / "engines" / "data"
OPTION = re.compile(r"^--?[A-Za-z][^\s,]*(?:, +-[^\s,]+)*", re.MULTILINE)
NAMES = "import json; print(*json.load(open('/opt/vllm/missing.json')), sep='\\n')"


def test_what_vllm_cannot_import_on_a_cpu_is_refused(
    models: Models, references: dict[str, str]
) -> None:
    container = {
        "name": "main",
        "image": references["vllm"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", NAMES],
    }
    spec = {"restartPolicy": "Never", "containers": [container]}
    missing = pods.run(models, "missing", spec, SECONDS).split()
    assert frozenset(missing) & frozenset(VLLM) == NOT_ON_CPU


def test_the_options_of_llama_cpp_are_those_that_its_list_was_made_from(
    models: Models, references: dict[str, str]
) -> None:
    container = {
        "name": "main",
        "image": references["llamacpp"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["llama-server", "--help"],
    }
    spec = {"restartPolicy": "Never", "containers": [container]}
    told = pods.run(models, "options", spec, SECONDS)
    flags = {flag for line in OPTION.findall(told) for flag in re.split(r", +", line)}
    variables = set(re.findall(r"\(env: (\w+)\)", told))
    assert flags == set((DATA / "llamacpp-0.3.36-flags.txt").read_text().split())
    assert variables == set((DATA / "llamacpp-0.3.36-variables.txt").read_text().split())
