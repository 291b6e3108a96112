"""`spec.serving.env`: what the operator sets itself is refused, never dropped unsaid."""

import re
from dataclasses import replace

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.api.engine_options import RESERVED_VARIABLES
from qmodel.api.serving import Engine
from qmodel.engines import ENGINES
from qmodel.planner.observed import Node
from unit.engines.settings import SETTINGS
from unit.planner.values import model
from unit.planner.world import World

VARIABLES = [
    (
        "OMP_NUM_THREADS",
        "CPU",
        "sets itself for VLLM on a CPU: leave it out; OMP_NUM_THREADS follows spec.serving.cpu",
    ),
    ("TMPDIR", "GPU", "sets itself for VLLM on a GPU: leave it out"),
]


def judged_with(
    name: str, value: str, accelerator: str, method: str = "FP8"
) -> tuple[bool, str, str]:
    """Return how a model with a variable is inspected: whether well, the reason and the message."""
    serving = {"env": [{"name": name, "value": value}]}
    asked = model(
        quantization={"method": method}, serving=serving, accelerator={"type": accelerator}
    )
    world = World(asked, (Node("gpus", {}, {"nvidia.com/gpu": "3"}),))
    world.settle()
    world.complete("inspect")
    condition = world.status.condition(ConditionType.INSPECTED)
    assert condition is not None
    inspected = world.status.is_true(ConditionType.INSPECTED)
    return inspected, condition.reason, condition.message


@pytest.mark.parametrize(("name", "accelerator", "told"), VARIABLES)
def test_a_variable_that_a_server_would_not_get_is_refused(
    name: str, accelerator: str, told: str
) -> None:
    inspected, reason, message = judged_with(name, "17", accelerator)
    assert (inspected, reason) == (False, "VariablesNotAllowed")
    assert told in message


@pytest.mark.parametrize(
    ("name", "value", "accelerator", "method"),
    [
        ("OMP_NUM_THREADS", "17", "GPU", "FP8"),
        ("OMP_NUM_THREADS", "17", "CPU", "GGUF"),
        ("OMP_NUM_THREADS", "2", "CPU", "FP8"),
        ("NCCL_DEBUG", "INFO", "CPU", "FP8"),
    ],
)
def test_what_the_operator_leaves_to_the_user_is_taken(
    name: str, value: str, accelerator: str, method: str
) -> None:
    inspected, _, message = judged_with(name, value, accelerator, method)
    assert inspected, message


@pytest.mark.parametrize("accelerator", ["CPU", "GPU"])
@pytest.mark.parametrize("engine", ENGINES)
def test_all_that_an_engine_sets_is_refused_by_the_api_or_here(
    engine: Engine, accelerator: str
) -> None:
    settings = replace(SETTINGS, gpus=int(accelerator == "GPU"))
    for name in ENGINES[engine].environment(settings):
        if not re.search(RESERVED_VARIABLES, name):
            _, reason, message = judged_with(name, "other", accelerator)
            assert (reason, name in message) == ("VariablesNotAllowed", True)
