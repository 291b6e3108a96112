"""What the operator says of its images, held against the images."""

from e2e import pods
from e2e.models import Models
from qmodel.planner.cpu_architectures import NOT_ON_CPU
from qmodel.worker.inspect.vllm_architectures import VLLM

SECONDS = 60
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
