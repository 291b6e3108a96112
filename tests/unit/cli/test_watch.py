import io
from typing import Any

import pytest
from rich.console import Console

from qmodel.api.conditions import ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.cli.access import RunningContainer
from qmodel.cli.errors import AccessError
from qmodel.cli.watch import Exit, Feed, Watch
from unit.cli.models import ScriptedAccess, failed, model, status

QUANTIZE = RunningContainer("pod", "quantize")


def run(access: ScriptedAccess, *, terminal: bool = False, **chosen: Any) -> tuple[Exit, str]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    settings: dict[str, Any] = {"until": ConditionType.READY, "timeout_seconds": 20.0} | chosen
    outcome = Watch(Feed(access, "demo", "smollm2"), console, **settings).run()
    return outcome, out.getvalue()


def story() -> list[QuantizedModel | None]:
    ready = status(8, endpoint="http://smollm2.demo.svc/v1")
    return [model(), *[model(status(done)) for done in range(8)], model(ready)]


def test_a_model_that_becomes_ready_ends_well_with_its_address() -> None:
    outcome, text = run(ScriptedAccess(story()))
    assert outcome is Exit.REACHED
    assert "Ready: http://smollm2.demo.svc/v1" in text
    assert text.count("  done  ") == 7


def test_each_condition_is_said_once_where_nothing_can_be_redrawn() -> None:
    _, text = run(ScriptedAccess([*story()[:3], *story()[2:]]))
    assert text.count("Fetched     working") == 1


def test_a_terminal_gets_the_same_outcome() -> None:
    outcome, text = run(ScriptedAccess(story()), terminal=True)
    assert outcome is Exit.REACHED
    assert "Quantized" in text
    assert "✓" in text


def test_an_earlier_condition_can_be_waited_for() -> None:
    outcome, _ = run(ScriptedAccess([model(status(2))]), until=ConditionType.FETCHED)
    assert outcome is Exit.REACHED


def test_a_failure_ends_with_its_reason_message_and_what_to_do() -> None:
    below = failed(3, "QualityBelowGate", "perplexity ratio 1.3 is above 1.05")
    outcome, text = run(ScriptedAccess([model(status(1)), model(below)]))
    assert outcome is Exit.FAILED
    assert "Evaluated failed: QualityBelowGate" in text
    assert text.count("perplexity ratio 1.3 is above 1.05") == 1
    assert "kubectl describe quantizedmodel smollm2 -n demo" in text


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("message", ["no such token: [/INST]", "[core.py:1108] at :100: of it"])
def test_what_a_cluster_says_is_shown_as_it_stands(message: str, *, terminal: bool) -> None:
    troubled = model(status(1, reason="ImagePullBackOff", message=message))
    stuck = model(failed(3, "EvaluationFailed", message))
    _, text = run(ScriptedAccess([troubled, stuck]), terminal=terminal)
    assert text.count(message) == (1 if terminal else 2)


def test_time_over_says_where_it_stands() -> None:
    outcome, text = run(ScriptedAccess([model(status(1))]), timeout_seconds=0.2)
    assert outcome is Exit.TIMED_OUT
    assert "Not Ready in time; still at Fetched." in text


def test_a_deleted_model_ends_the_watch() -> None:
    access = ScriptedAccess([model(status(1)), None])
    outcome, text = run(access)
    assert outcome is Exit.FAILED
    assert access.closed
    assert "deleted" in text


def test_what_the_cluster_refuses_reaches_the_person() -> None:
    with pytest.raises(AccessError, match="forbidden"):
        run(ScriptedAccess([], error=AccessError("forbidden")))


def test_lines_of_a_log_move_the_bar() -> None:
    lines = ['{"step":"quantize","percent":35,"message":"blk.3"}', "llama: noise", "{broken"]
    outcome, text = run(
        ScriptedAccess([model(status(2, reason="Quantizing"))], {QUANTIZE: lines}),
        timeout_seconds=1.0,
    )
    assert outcome is Exit.TIMED_OUT
    assert "35%" in text
    assert "blk.3" in text
