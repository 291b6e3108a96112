"""`spec.serving.cpu`: the request of the servers, and the threads that they compute in."""

from typing import Any

import pytest

from qmodel.planner.observed import Node
from unit.planner.values import model
from unit.planner.world import World
from unit.sizing.values import INSPECTION


def argument(world: World, name: str) -> str:
    """Return what the server is told by an argument."""
    (want,) = world.deployment_wishes.values()
    argv = list(want.rollout.argv)
    return argv[argv.index(name) + 1]


def test_the_request_of_the_servers_is_that_of_the_measurement_and_sets_the_threads() -> None:
    world = World(model(serving={"cpu": "7500m"}))
    world.run()
    (want,) = world.deployment_wishes.values()
    measured = [each for each in world.job_wishes.values() if each.step == "measure"]
    assert [each.containers[0].cpu for each in measured] == ["7500m"]
    assert want.rollout.sizing.cpu == "7500m"
    assert argument(world, "--threads") == "8"


def test_another_request_is_measured_anew() -> None:
    world = World(model())
    world.run()
    assert argument(world, "--threads") == "2"
    begun = len(world.started)
    world.edit(serving={"cpu": "4"})
    assert [each.split()[0] for each in world.started[begun:]] == ["measure"]
    world.run()
    assert argument(world, "--threads") == "4"


@pytest.mark.parametrize(
    ("accelerator", "parameters", "serving", "hours"),
    [
        ("CPU", 135_000_000, {"contextLength": 1024, "concurrency": 2}, 2),
        ("CPU", 8_000_000_000, {"contextLength": 32768, "concurrency": 4}, 60),
        ("CPU", 8_000_000_000, {"contextLength": 32768, "concurrency": 4, "cpu": "16"}, 9),
        ("CPU", 70_000_000_000, {"contextLength": 32768, "concurrency": 64}, 7 * 24),
        ("GPU", 8_000_000_000, {"contextLength": 32768, "concurrency": 4}, 2),
    ],
)
def test_measuring_has_the_time_to_fill_all_sequences(
    accelerator: str, parameters: int, serving: dict[str, Any], hours: int
) -> None:
    gpus = Node("gpus", {}, {"nvidia.com/gpu": "3"})
    world = World(model(serving=serving, accelerator={"type": accelerator}), (gpus,))
    large = {"parameters": parameters, "context_length": 32768}
    world.settle()
    world.complete("inspect", inspection=INSPECTION.model_copy(update=large))
    for step in ("fetch", "quantize"):
        world.settle()
        world.complete(step)
    world.settle()
    assert round(world.wish("measure").timeout_seconds / 3600) == hours
