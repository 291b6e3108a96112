"""How the images are worked off: two at once, those of one Dockerfile one after the other."""

import threading

import pytest

from cluster import buildah, images, target
from cluster.builds import Build
from cluster.commands import ClusterError

LLAMACPP = ["llamacpp", "llamacpp-worker"]
WAIT_SECONDS = 10


@pytest.fixture(autouse=True)
def no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no real build."""
    monkeypatch.setattr(buildah, "building", threading.Lock)


def test_images_of_two_dockerfiles_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=WAIT_SECONDS)

    def provide(_: Build) -> str:
        both.wait()
        return "built"

    monkeypatch.setattr(target, "provide", provide)
    names = ["operator", "vllm"]
    assert list(images.ensure(names)) == names


def test_images_of_one_dockerfile_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def provide(build: Build) -> str:
        order.append(f"{build.name} begins")
        threading.Event().wait(0.05)
        order.append(f"{build.name} ends")
        return "built"

    monkeypatch.setattr(target, "provide", provide)
    images.ensure(LLAMACPP)
    assert order == [f"{name} {what}" for name in LLAMACPP for what in ("begins", "ends")]


def test_what_has_not_begun_when_one_fails_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, seen = threading.Event(), []

    def provide(build: Build) -> str:
        seen.append(build.name)
        if build.name == "quantizer":
            failed.set()
            message = "no space left on device"
            raise ClusterError(message)
        failed.wait(WAIT_SECONDS)
        threading.Event().wait(0.2)
        return "built"

    monkeypatch.setattr(target, "provide", provide)
    with pytest.raises(ClusterError, match="no space left"):
        images.ensure(["operator", "quantizer", "llamacpp", "autoawq", "vllm"])
    assert "vllm" not in seen
