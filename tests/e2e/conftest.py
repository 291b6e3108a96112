"""One cluster, one hub, one operator installed by the chart; a namespace for each module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import images, target, tools
from cluster.commands import ClusterError
from demo.commands import Commands
from e2e.hub import HubControl
from e2e.install import install_hub, install_operator
from e2e.kube import Kube
from e2e.models import CORE, Models, fresh_name

NAMESPACE_PREFIX = "qmodel-e2e"


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a kubeconfig with nothing but the cluster of the tests."""
    try:
        text = target.kubeconfig()
    except ClusterError as error:
        pytest.fail(f"{error} `make cluster images` brings all that these tests need.")
    path = tmp_path_factory.mktemp("cluster") / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def kube(kubeconfig: Path) -> Iterator[Kube]:
    found = Kube(str(kubeconfig))
    yield found
    found.close()


@pytest.fixture(scope="session")
def references() -> dict[str, str]:
    """Return the reference of each image; what is not in the cluster is built and brought."""
    return images.ensure([])


@pytest.fixture(scope="session")
def commands(kubeconfig: Path) -> Commands:
    """Return programs that speak to the cluster of the tests."""
    return Commands({"KUBECONFIG": str(kubeconfig), "PATH": tools.search_path()})


@pytest.fixture(scope="session")
def endpoint(commands: Commands, references: dict[str, str]) -> str:
    """Return the address of the hub, which runs in the cluster."""
    return install_hub(commands, references["test-hub"])


@pytest.fixture(scope="session")
def operator(commands: Commands, references: dict[str, str], endpoint: str) -> None:
    """Install the operator as the demo does."""
    install_operator(commands, references, endpoint)


@pytest.fixture(scope="session")
def hub(kube: Kube, endpoint: str) -> Iterator[HubControl]:
    del endpoint  # the hub runs
    control = HubControl(kube)
    control.clear()
    yield control
    control.clear()


@pytest.fixture(scope="module")
def models(kube: Kube, operator: None) -> Iterator[Models]:
    """Return the models of a namespace that the module has for itself."""
    del operator  # it runs
    namespace = fresh_name(NAMESPACE_PREFIX)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    kube.apply(f"{CORE}/namespaces/{namespace}", body)
    yield Models(kube, namespace)
    kube.delete(f"{CORE}/namespaces/{namespace}")
