"""`spec.serving.cpu`: the request of the servers, and the threads that they compute in."""

from unit.planner.values import model
from unit.planner.world import World


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
