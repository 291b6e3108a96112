from qmodel.api.conditions import ConditionType
from qmodel.cli.board import Board, State
from qmodel.worker.report import ProgressLine
from unit.cli.models import failed, model, status

FETCHED = ConditionType.FETCHED
QUANTIZED = ConditionType.QUANTIZED
EVALUATED = ConditionType.EVALUATED


def states(board: Board) -> dict[str, str]:
    return {kind.value: row.state.value for kind, row in board.rows.items()}


def line(step: str, percent: int, message: str = "") -> ProgressLine:
    return ProgressLine(step=step, percent=percent, message=message)


def test_only_the_first_unsettled_condition_is_at_work() -> None:
    board = Board()
    board.see(model(status(1, reason="Fetching")), now=0)
    assert list(states(board).values()) == ["done", "working", *["waiting"] * 5]
    assert board.current is board.rows[FETCHED]


def test_a_model_that_no_operator_has_seen_waits_for_its_inspection() -> None:
    board = Board()
    board.see(model(), now=0)
    assert not board.is_observed
    assert states(board)["Inspected"] == "working"


def test_conditions_of_an_older_spec_count_for_nothing() -> None:
    board = Board()
    board.see(model(status(8), generation=2), now=0)
    assert not board.reached(ConditionType.READY)
    assert "done" not in states(board).values()


def test_trouble_is_told_from_work() -> None:
    board = Board()
    board.see(model(status(1, reason="ImagePullBackOff", message="no such image")), now=0)
    row = board.rows[FETCHED]
    assert (row.state, row.text) == (State.TROUBLED, "no such image")


def test_work_is_timed_from_its_beginning_to_its_end() -> None:
    board = Board()
    board.see(model(status(1, reason="Fetching")), now=100)
    board.see(model(status(2, reason="Quantizing")), now=107)
    assert board.rows[ConditionType.INSPECTED].seconds(107) is None
    assert board.rows[FETCHED].seconds(200) == 7
    assert board.rows[QUANTIZED].seconds(110) == 3


def test_work_that_began_before_anyone_looked_is_timed_by_status() -> None:
    step = {
        "name": "fetch",
        "key": "k",
        "attempts": 1,
        "image": "i",
        "memoryBytes": 1,
        "started": "1970-01-01T00:01:00+00:00",
    }
    board = Board()
    board.see(model(status(1, reason="Fetching", steps=[step])), now=100)
    assert board.rows[FETCHED].seconds(100) == 40


def test_the_log_is_finer_than_status() -> None:
    board = Board()
    coarse = {"step": "fetch", "percent": 40}
    board.see(model(status(1, reason="Fetching", message="fetching", progress=coarse)), now=0)
    assert board.rows[FETCHED].percent == 40
    board.hear(line("fetch", 43, "model.safetensors"), now=1)
    board.see(model(status(1, reason="Fetching", message="fetching", progress=coarse)), now=2)
    assert (board.rows[FETCHED].percent, board.rows[FETCHED].text) == (43, "model.safetensors")


def test_evaluation_begins_before_the_job_that_also_quantizes_ends() -> None:
    board = Board()
    making = model(status(2, reason="Quantizing", message="making Q8_0"))
    board.see(making, now=0)
    board.hear(line("evaluate", 10), now=20)
    board.see(making, now=21)
    assert "making" not in board.rows[QUANTIZED].text
    assert (states(board)["Quantized"], states(board)["Evaluated"]) == ("done", "working")
    assert board.rows[QUANTIZED].seconds(99) == 20
    assert board.rows[EVALUATED].percent == 10


def test_another_attempt_goes_back_to_quantizing() -> None:
    board = Board()
    board.see(model(status(2, reason="Quantizing")), now=0)
    board.hear(line("evaluate", 10), now=20)
    board.hear(line("quantize", 5), now=30)
    assert (states(board)["Quantized"], states(board)["Evaluated"]) == ("working", "waiting")
    assert board.rows[QUANTIZED].percent == 5


def test_late_lines_of_a_settled_step_change_nothing() -> None:
    board = Board()
    board.see(model(status(2, reason="Quantizing")), now=0)
    board.hear(line("fetch", 99), now=1)
    board.hear(line("unheard-of", 99), now=1)
    assert board.rows[FETCHED].percent is None


def test_a_failure_is_named() -> None:
    board = Board()
    board.see(model(failed(3, "QualityBelowGate", "the ratio is 1.3")), now=0)
    assert board.failed is board.rows[EVALUATED]
    assert board.failed.text == "QualityBelowGate"
    assert board.failed.message == "the ratio is 1.3"
    assert board.current is None
