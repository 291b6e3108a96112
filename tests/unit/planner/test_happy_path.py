from unit.planner.values import model
from unit.planner.world import World


def test_a_repository_is_served_in_four_jobs_and_few_writes() -> None:
    world = World(model())
    world.run()
    assert world.started == ["inspect 1", "fetch 1", "quantize 1", "measure 1"]
    assert world.model.status.stage == "Ready"
    assert len(world.statuses) <= 7
    assert len(world.announcements) <= 6
