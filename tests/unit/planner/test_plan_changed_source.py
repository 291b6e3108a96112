from qmodel.api.conditions import ConditionType
from qmodel.planner.observed import ContainerResult, JobState
from unit.planner.values import failure, model
from unit.planner.world import World


def test_a_source_that_changed_is_inspected_again() -> None:
    world = World(model())
    world.settle()
    world.complete("inspect")
    report = failure("fetch", "SourceChanged", "config.json was edited", retry=15)
    world.end("fetch", JobState.FAILED, ContainerResult("fetch", 1, "Error", report))
    assert world.says(ConditionType.INSPECTED) == "Unknown Inspecting"
    assert world.status.source is None
    world.run()
    assert world.status.stage == "Ready"
    assert [each.split()[0] for each in world.started].count("inspect") == 2
