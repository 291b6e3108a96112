import tomllib
from pathlib import Path

import pytest

from qmodel.planner.installation import ConfigMapFile
from qmodel.settings import HUB_ENDPOINT, IMAGE_VARIABLES, OPERATOR_VERSION, SettingsError, parse

IMAGES = {variable: f"{name}:1" for name, variable in IMAGE_VARIABLES.items()}


def test_defaults() -> None:
    found = parse([], IMAGES)
    assert found.namespaces == ()
    assert found.installation.hub_endpoint == HUB_ENDPOINT
    assert found.installation.images.llamacpp == "llamacpp:1"
    assert not found.leader_elect


def test_namespaces_come_from_arguments_or_environment() -> None:
    environment = IMAGES | {"QMODEL_NAMESPACES": "b, a,"}
    assert parse([], environment).namespaces == ("a", "b")
    assert parse(["--namespace", "c", "--namespace", "c"], environment).namespaces == ("c",)


def test_the_operators_own_image_has_to_be_named() -> None:
    own = IMAGE_VARIABLES["operator"]
    with pytest.raises(SettingsError, match=own):
        parse([], {k: v for k, v in IMAGES.items() if k != own})
    assert parse([], {own: "operator:1"}).installation.images.named("vllm_cuda") == ""


def test_tokens_do_not_go_in_the_clear_unless_asked() -> None:
    environment = IMAGES | {"HF_ENDPOINT": "http://hub.test/"}
    with pytest.raises(SettingsError, match="in the clear"):
        parse([], environment)
    allowed = parse([], environment | {"QMODEL_HUB_ALLOW_INSECURE": "true"})
    assert allowed.installation.hub_endpoint == "http://hub.test"
    assert allowed.installation.hub_allow_insecure


def test_what_jobs_are_given_to_reach_sources() -> None:
    told = {
        "QMODEL_HTTPS_PROXY": "http://proxy:3128",
        "QMODEL_NO_PROXY": ".svc",
        "QMODEL_CA_BUNDLE": "trust/bundle.pem",
        "QMODEL_SOURCES_ALLOW_INSECURE": "true",
    }
    found = parse([], IMAGES | told).installation
    assert found.source_env == {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".svc"}
    assert found.ca_bundle == ConfigMapFile("trust", "bundle.pem")
    assert found.sources_allow_insecure
    assert not parse([], IMAGES).installation.sources_allow_insecure
    with pytest.raises(SettingsError, match="name/key"):
        parse([], IMAGES | {"QMODEL_CA_BUNDLE": "trust"})


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == OPERATOR_VERSION
