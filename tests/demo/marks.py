"""What tells the demo's own objects from a person's, in a cluster that has both."""

import json

from cluster import local
from demo.commands import Commands, DemoError

KEY, VALUE = "app.kubernetes.io/part-of", "qmodel-demo"
MARK = {KEY: VALUE}
"""Label of the namespaces that the demo makes, and of the pods of its operator."""
SELECTOR = f"{KEY}={VALUE}"
OPERATORS = "app.kubernetes.io/name=qmodel,app.kubernetes.io/component=operator"


def refuse_other_operator(commands: Commands) -> None:
    """Stop where another operator looks after models: the demo would replace its settings.

    Raises
    ------
    DemoError
        Says where that operator is, and what to do.
    """
    if local.exists():  # everything in it is the demo's or the tests'
        return
    others = [name for name, ours in operators(commands).items() if not ours]
    if others:
        message = (
            f"This cluster has the operator already ({', '.join(others)}), with settings that are"
            " not the demo's and would be replaced. Use another context: `kubectl config"
            " use-context NAME`, or KUBECONFIG."
        )
        raise DemoError(message)


def operators(commands: Commands) -> dict[str, bool]:
    """Return the operators of a cluster as NAMESPACE/NAME, and whether the demo installed them."""
    found = commands.kubectl("get", "deployments", "-A", "-l", OPERATORS, "-o=json")
    return {
        f"{each['metadata']['namespace']}/{each['metadata']['name']}": (
            each["spec"]["template"]["metadata"]["labels"].get(KEY) == VALUE
        )
        for each in json.loads(found)["items"]
    }


def ensure_namespace(commands: Commands, name: str) -> None:
    """Make a namespace that is the demo's to remove, unless there is one of that name."""
    if commands.kubectl("get", "namespace", name, "--ignore-not-found", "-o=name"):
        return
    metadata = {"name": name, "labels": MARK}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    commands.kubectl("create", "-f", "-", stdin=json.dumps(manifest))


def remove_namespaces(commands: Commands) -> str:
    """Remove the namespaces that the demo made; returns their names."""
    found = commands.kubectl("get", "namespaces", "-l", SELECTOR, "-o=name").split()
    if found:
        commands.kubectl("delete", *found)
    return " and ".join(name.removeprefix("namespace/") for name in found)
