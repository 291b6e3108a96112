"""What the benchmarks on real pods start from: cluster, images, a namespace; hub and operator."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import images, target, tools
from demo.commands import Commands
from e2e.install import install_hub, install_operator
from e2e.kube import Kube
from e2e.models import CORE, Models, fresh_name


@contextmanager
def prepared(folder: Path) -> Iterator[tuple[Models, Commands]]:
    """Give a namespace with the operator looking after it; the namespace goes in the end.

    Parameters
    ----------
    folder
        Where the kubeconfig is kept meanwhile.
    """
    with namespace(folder) as (models, commands):
        references = images.ensure([])
        endpoint = install_hub(commands, references["test-hub"])
        install_operator(commands, references, endpoint)
        yield models, commands


@contextmanager
def namespace(folder: Path) -> Iterator[tuple[Models, Commands]]:
    """Give a namespace, which goes in the end.

    Parameters
    ----------
    folder
        Where the kubeconfig is kept meanwhile.
    """
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(target.kubeconfig())
    kube = Kube(str(kubeconfig))
    name = fresh_name("qmodel-bench")
    path = f"{CORE}/namespaces/{name}"
    kube.apply(path, {"apiVersion": "v1", "kind": "Namespace"})
    try:
        variables = {"KUBECONFIG": str(kubeconfig), "PATH": tools.search_path()}
        yield Models(kube, name), Commands(variables)
    finally:
        kube.delete(path)
        kube.close()
