"""What `make push` builds, pushes and prints."""

import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from cluster import archives, docker, images, publish, target
from cluster.builds import Build
from cluster.commands import ClusterError

REGISTRY = "registry.example.com:5000/qmodel"
CHART = Path(__file__).parents[3] / "charts" / "quantized-model-operator"


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return what is pushed: an image's own name, and the one in the registry."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(target, "ensure_builder", lambda: None)
    monkeypatch.setattr(publish.buildah, "building", nullcontext)  # no other build is waited for
    monkeypatch.setattr(
        target, "publish", lambda image, reference: found.append((image.reference, reference))
    )
    return found


def test_all_images_of_a_release_are_pushed_and_none_of_the_tests(
    pushed: list[tuple[str, str]],
) -> None:
    references = publish.push(REGISTRY, "", [])
    assert list(references.values()) == [reference for _, reference in pushed]
    assert set(references) == {name for name in images.TABLE if not name.startswith("test-")}
    for own, reference in pushed:
        assert reference.startswith(f"{REGISTRY}/")
        assert reference.rpartition(":")[2] == own.rpartition(":")[2], "a hash of the sources"


def test_one_tag_for_some_images(pushed: list[tuple[str, str]]) -> None:
    references = publish.push(REGISTRY, "v7", ["operator", "llamacpp"])
    assert references == {
        "operator": f"{REGISTRY}/operator:v7",
        "llamacpp": f"{REGISTRY}/llamacpp:v7",
    }
    assert len(pushed) == 2


def test_the_values_are_the_charts_and_a_tag_of_digits_is_text() -> None:
    references = {name: f"{REGISTRY}/{name}:123456789012" for name in publish.RELEASED}
    found = yaml.safe_load(publish.chart_values(references))
    assert found["images"]["llamacppWorker"] == {
        "repository": f"{REGISTRY}/llamacpp-worker",
        "tag": "123456789012",
    }
    values = yaml.safe_load((CHART / "values.yaml").read_text())["images"]
    assert found["images"].keys() < values.keys()
    on_gpus = {"llamacppCuda", "vllmCuda"}
    assert values.keys() - found["images"].keys() == {*on_gpus, "pullPolicy"}


@pytest.mark.parametrize("registry", ["", "https://registry.example.com", "registry.example.com/"])
def test_what_is_no_registry_is_refused(pushed: list[tuple[str, str]], registry: str) -> None:
    with pytest.raises(ClusterError, match=r"registry\.example\.com/qmodel"):
        publish.push(registry, "", [])
    assert pushed == []


def test_an_image_of_the_tests_is_refused(pushed: list[tuple[str, str]]) -> None:
    with pytest.raises(ClusterError, match="test-hub: no image of a release"):
        publish.push(REGISTRY, "", ["test-hub"])
    assert pushed == []


def test_docker_builds_under_the_registrys_name(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    settings = {
        "cert": "/etc/ca.crt",
        "find-links": "/wheels https://wheels.example.com/torch",
        "index-url": "https://pypi.example.com/simple",
    }
    monkeypatch.setattr(target.local, "exists", lambda: False)
    monkeypatch.setattr(docker, "answers", lambda: True)
    monkeypatch.setattr(docker, "pip_settings", lambda: settings)
    monkeypatch.setattr(
        docker, "follow", lambda words, *_, **__: told.append([str(word) for word in words])
    )
    build = Build("localhost/qmodel/operator:1", Path("Dockerfile"), "", Path())
    target.publish(build, f"{REGISTRY}/operator:1")
    reference = f"{REGISTRY}/operator:1"
    built, pushed = told
    assert built == [
        *["docker", "build", "--progress=plain"],
        "--build-arg=PIP_FIND_LINKS=https://wheels.example.com/torch",
        "--build-arg=PIP_INDEX_URL=https://pypi.example.com/simple",
        *["--tag", reference, "--file", "Dockerfile", "."],
    ], "no path of this machine is in a container"
    assert pushed == ["docker", "push", reference]


def test_images_and_archives_are_loaded_into_the_cluster_of_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[list[str]] = []
    monkeypatch.delenv("QMODEL_IMAGE_REGISTRY", raising=False)
    monkeypatch.setattr(target.local, "exists", lambda: False)
    monkeypatch.setattr(target, "own_context", lambda: "kind-mine")
    monkeypatch.setattr(docker, "answers", lambda: True)
    monkeypatch.setattr(docker, "build", lambda _: None)
    monkeypatch.setattr(
        target, "follow", lambda words, *_, **__: told.append([str(word) for word in words])
    )
    image = Build("localhost/qmodel/operator:1", Path("Dockerfile"), "", Path())
    assert target.provide(image) == "loaded into kind"
    target.load(Path("image.tar"))
    assert told == [
        ["kind", "load", "docker-image", "--name", "mine", "localhost/qmodel/operator:1"],
        ["kind", "load", "image-archive", "--name", "mine", "image.tar"],
    ]


def test_without_docker_the_cached_image_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(target.local, "exists", lambda: False)
    monkeypatch.setattr(docker, "answers", lambda: False)
    monkeypatch.setattr(archives, "is_cached", lambda _: True)
    monkeypatch.setattr(archives, "run", lambda words, **_: told.append(words))
    build = Build("localhost/qmodel/operator:1", Path("Dockerfile"), "", Path())
    target.publish(build, f"{REGISTRY}/operator:1")
    layout = f"oci:{archives.LAYOUT}:localhost/qmodel/operator:1"
    assert told == [["skopeo", "copy", layout, f"docker://{REGISTRY}/operator:1"]]


def test_make_passes_registry_images_and_tag() -> None:
    root = Path(__file__).parents[3]
    words = ["make", "--dry-run", "push", "REGISTRY=r.example.com", "TAG=v1", "IMAGES=operator"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    assert 'tests/cluster push "r.example.com" operator --tag v1' in done.stdout
