"""The operator killed, or cut off from the API server, at every moment: the end is the same."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from unit.planner.values import failure, model
from unit.planner.world import World

Story = Callable[[World], None]
_TIMES = ("lastTransitionTime", "started", "finished")


def built(world: World) -> None:
    """Build and serve a model."""
    world.run()


def edited(world: World) -> None:
    """Replace what serves by another recipe."""
    world.edit(quantization={"method": "GGUF", "gguf": {"type": "Q8_0"}})
    world.run()


def resized(world: World) -> None:
    """Change what the servers are given."""
    world.edit(serving={"contextLength": 8192, "replicas": 2})
    world.run()


def disturbed(world: World) -> None:
    """Answer an OOM kill by a larger try, which finds the hub down and comes again."""
    world.settle()
    world.fail("inspect", "OOMKilled")
    world.fail("inspect", report=failure("inspect", "HubUnavailable", retry=15))
    world.advance(60)
    world.complete("inspect")


NEW, SERVING = World(model()), World(model())
SERVING.run()
STORIES: dict[str, tuple[World, Story]] = {
    "built": (NEW, built),
    "edited": (SERVING, edited),
    "resized": (SERVING, resized),
    "disturbed": (NEW, disturbed),
}


def outcome(world: World) -> tuple[Any, ...]:
    """Return what a story comes to, whenever it happened."""
    return (
        _timeless(world.status.to_wire()),
        sorted(world.started),
        sorted(world.job_wishes),
        [want.rollout for want in world.deployment_wishes.values()],
        world.service.revision if world.service else None,
        sorted(d.revision for d in world.deployments.values()),
    )


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in _TIMES}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def moments(before: World, after: World) -> Iterator[tuple[int, int]]:
    """Yield every pass between two worlds, with every number of its wishes that may be done."""
    for number in range(before.plans, after.plans):
        yield from ((number + 1, done) for done in range(after.wishes[number] + 1))


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("fault", ["crash_at", "unavailable_at"])
def test_a_loss_at_any_moment_changes_nothing_in_the_end(name: str, fault: str) -> None:
    start, story = STORIES[name]
    undisturbed = start.fork()
    story(undisturbed)
    for moment in moments(start, undisturbed):
        world = start.fork()
        setattr(world, fault, moment)
        story(world)
        assert outcome(world) == outcome(undisturbed), moment


def test_a_status_that_is_lost_altogether_is_found_again_from_what_exists() -> None:
    world = World(model())
    world.run()
    expected, started = outcome(world), world.started.copy()
    world.model = model()
    world.wake()
    assert world.started == started
    assert outcome(world) == expected
