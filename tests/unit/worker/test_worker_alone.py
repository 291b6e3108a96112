import threading
from pathlib import Path

from qmodel.worker.files import alone


def test_a_second_pod_waits_for_the_first(tmp_path: Path) -> None:
    target, done, order = tmp_path / "sources" / "a", threading.Event(), []

    def second() -> None:
        with alone(target):
            order.append("second")
        done.set()

    with alone(target):
        thread = threading.Thread(target=second)
        thread.start()
        assert not done.wait(0.2)
        order.append("first")
    assert done.wait(5)
    thread.join()
    assert order == ["first", "second"]


def test_another_target_does_not_wait(tmp_path: Path) -> None:
    with alone(tmp_path / "a"), alone(tmp_path / "b"):
        assert (tmp_path / ".a.lock").exists()
