"""What the demo does, in order."""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from pydantic import alias_generators
from rich.console import Console

from cluster import local, target
from cluster.settings import CACHE
from demo import marks
from demo.commands import REPOSITORY, Commands, DemoError
from demo.stages import stage
from qmodel.planner.installation import Images

CHART = "charts/quantized-model-operator"
RELEASE = "quantized-model-operator"
OPERATOR_NAMESPACE = "qmodel-system"
HUB = REPOSITORY / "tests/demo/hub.yaml"
HUB_NAMESPACE = "qmodel-demo"
NAMESPACE = "demo"
SAMPLE = REPOSITORY / "manifests/samples/smollm2.yaml"
MODEL = "smollm2"
QUESTION = "Complete: The capital of France is"
BUILD_SECONDS = 3600
BUILT = ("operator", "llamacpp", "llamacpp-worker", "test-hub")
"""Images of the demo; those of other methods and engines are gigabytes that it does not need."""
BUILT_AS = {"llamacpp_cuda": "llamacpp", "vllm_cuda": "vllm"}
"""The images for GPUs take upstream's, or an hour of compiling: what is built here is for CPUs."""
READY_SECONDS = 900


def up(console: Console) -> None:
    """Go from nothing to a chat answer; whatever exists already is left as it is."""
    console.print("From nothing to a chat answer of a model quantized before your eyes.\n")
    with stage(console, "Cluster") as now:
        Commands().harness("up", tell=now.tell, seconds=BUILD_SECONDS)
        now.result = now.told
    with cluster_commands(console) as commands:
        marks.refuse_other_operator(commands)
        images = _images(console, commands)
        endpoint = install_hub(console, commands, images["test-hub"])
        install_operator(console, commands, images, endpoint)
        _model(console, commands)
        console.print()
        if commands.attached("watch", MODEL, "-n", NAMESPACE, f"--timeout={READY_SECONDS}s"):
            message = (
                "The model is not ready; `make demo` tries again, `make demo-down` removes it."
            )
            raise DemoError(message)
        _chat(console, commands)


def down(console: Console) -> None:
    """Remove what `up` made; the cluster too, if this project started it."""
    if not local.exists() and target.own_context():
        with cluster_commands(console) as commands:
            _remove(console, commands)
    with stage(console, "Cluster") as now:
        Commands().harness("down", tell=now.tell)
        now.result = now.told


@contextmanager
def cluster_commands(console: Console) -> Iterator[Commands]:
    """Give commands that speak to the cluster of demo and tests, whatever the current context."""
    kubeconfig = Commands().harness("kubeconfig")
    with stage(console, "Tools") as now:
        now.tell("looking for kubectl and helm")
        path = Commands().harness("tools", tell=now.tell, seconds=BUILD_SECONDS).strip()
        now.result = "kubectl, helm"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(kubeconfig)
        yield Commands({"KUBECONFIG": str(file), "PATH": path})


def _images(console: Console, commands: Commands) -> dict[str, str]:
    """Build and load what is missing; returns the reference of each image."""
    how: dict[str, list[str]] = {}

    def take(line: str) -> None:
        now.tell(line)
        if done := re.fullmatch(r"\S+/([^/:]+):\S+: (.+), [\d.]+ s", line):
            how.setdefault(done[2], []).append(done[1])

    with stage(console, "Images") as now:
        now.tell("what is not built yet takes about ten minutes, once")
        printed = commands.harness(
            "images", "--print-refs", *BUILT, tell=take, seconds=BUILD_SECONDS
        )
        now.result = "; ".join(f"{', '.join(names)}: {done}" for done, names in how.items())
    return dict(line.split("=", 1) for line in printed.splitlines())


def install_hub(console: Console, commands: Commands, image: str) -> str:
    """Start the server that the model comes from; returns its address inside the cluster."""
    with stage(console, "Model hub") as now:
        now.tell("a server with SmolLM2-135M-Instruct that speaks the Hugging Face protocol")
        manifest = HUB.read_text().replace("image: test-hub", f"image: {image}")
        before = _generation(commands, HUB_NAMESPACE, "hub")
        commands.kubectl("apply", "-f", "-", stdin=manifest)
        commands.kubectl("rollout", "status", "deployment/hub", "-n", HUB_NAMESPACE)
        address = commands.kubectl(
            "get", "service", "hub", "-n", HUB_NAMESPACE, "-o=jsonpath={.spec.clusterIP}"
        )
        there = _already(before, _generation(commands, HUB_NAMESPACE, "hub"))
        now.result = f"SmolLM2-135M-Instruct at http://{address}, in place of huggingface.co{there}"
    return f"http://{address}"


def install_operator(
    console: Console, commands: Commands, images: dict[str, str], endpoint: str, *more: str
) -> None:
    """Install the operator by its chart, or bring it to this version; `more` goes to helm."""
    settings = {"hub.endpoint": endpoint}
    for name in (field.name for field in fields(Images)):
        built = BUILT_AS.get(name, name.replace("_", "-"))
        # What the demo does not use is neither built nor named.
        if built in images:
            value = alias_generators.to_camel(name)
            repository, _, tag = images[built].rpartition(":")
            settings |= {f"images.{value}.repository": repository, f"images.{value}.tag": tag}
    with stage(console, "Operator") as now:
        now.tell("helm upgrade --install")
        before = _generation(commands, OPERATOR_NAMESPACE, RELEASE)
        where = ["--namespace", OPERATOR_NAMESPACE, "--create-namespace"]
        # As text, because a tag of digits alone is no number.
        chosen = [
            word for name, value in settings.items() for word in ("--set-string", f"{name}={value}")
        ]
        chosen += ["--set", "hub.allowInsecure=true", "--set", "sources.allowInsecure=true"]
        chosen += ["--set-json", f"podLabels={json.dumps(marks.MARK)}"]
        # What was applied by kubectl before, such as the definition, becomes the release's.
        how = ["--take-ownership", "--force-conflicts", "--wait", "--timeout", "120s"]
        _undo_interrupted(commands)
        try:
            words = ["helm", "upgrade", "--install", RELEASE, CHART, *where, *chosen, *how, *more]
            commands.run(words)
        except DemoError as error:
            message = f"{error}\n{_look(commands)}"
            raise DemoError(message) from error
        there = _already(before, _generation(commands, OPERATOR_NAMESPACE, RELEASE))
        now.result = f"{CHART} in namespace {OPERATOR_NAMESPACE}{there}"


def _undo_interrupted(commands: Commands) -> None:
    """Undo what a killed helm left half done: helm itself would refuse every further upgrade."""
    release = [RELEASE, "--namespace", OPERATOR_NAMESPACE]
    try:
        found = json.loads(commands.run(["helm", "status", *release, "--output", "json"]))
    except DemoError:  # nothing is installed
        return
    status = found["info"]["status"]
    if status == "pending-install":
        commands.run(["helm", "uninstall", *release])
    elif status.startswith("pending-"):
        commands.run(["helm", "rollback", *release])


def _look(commands: Commands) -> str:
    """Return what there is to see of the operator, for a person who wonders why it does not run."""
    where = ["-n", OPERATOR_NAMESPACE]
    pods = commands.kubectl("get", "pods,events", *where)
    try:
        return pods + commands.kubectl("logs", f"deployment/{RELEASE}", *where, "--tail=20")
    except DemoError:
        return pods


def _model(console: Console, commands: Commands) -> None:
    """Apply the sample, in a namespace of its own."""
    with stage(console, "Model") as now:
        marks.ensure_namespace(commands, NAMESPACE)
        said = commands.kubectl("apply", "-n", NAMESPACE, "-f", str(SAMPLE)).strip()
        now.result = f"kubectl apply -n {NAMESPACE} -f {SAMPLE.relative_to(REPOSITORY)}: {said}"


def _chat(console: Console, commands: Commands) -> None:
    """Ask, and show what was reached."""
    answer = commands.qmodel("chat", MODEL, QUESTION, "-n", NAMESPACE).strip()
    console.print("\n[bold]Question[/bold]  ", end="")
    console.print(QUESTION, markup=False)
    console.print("[bold]Answer[/bold]    ", end="")
    console.print(answer, style="green", markup=False)
    console.print()
    commands.attached("report", MODEL, "-n", NAMESPACE, "-o", str(CACHE / f"{MODEL}-report.html"))
    console.print(
        "\nGo on by yourself:\n"
        "  make -s kubeconfig > /tmp/qmodel.yaml; export KUBECONFIG=/tmp/qmodel.yaml\n"
        "  export PATH=$(.venv/bin/python tests/cluster tools) PYTHONPATH=operator\n"
        f"  kubectl get quantizedmodels -n {NAMESPACE} -o wide\n"
        f"  .venv/bin/python -m qmodel.cli chat {MODEL} 'What is 2+2?' -n {NAMESPACE}\n"
        "  make demo-down",
    )


def _remove(console: Console, commands: Commands) -> None:
    """Take the demo out of a cluster that stays."""
    installed = any(marks.operators(commands).values())
    with stage(console, "Model") as now:
        if installed and _models_left(commands):
            where = ["-n", NAMESPACE, "--ignore-not-found"]
            commands.kubectl("delete", "quantizedmodel", MODEL, *where)
        removed = marks.remove_namespaces(commands)
        now.result = f"removed, with everything in {removed}" if removed else "there is none"
    with stage(console, "Operator") as now:
        if not installed:
            now.result = "none that the demo installed"
            return
        if left := _models_left(commands):
            now.result = f"left in place for {left} other QuantizedModels"
            return
        # First, so that whoever stops here finds the operator, and with it all that is to do.
        definition = "crd/quantizedmodels.qmodel.dev"
        commands.kubectl("delete", definition, "--ignore-not-found")
        where = ["--namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait"]
        commands.run(["helm", "uninstall", RELEASE, *where])
        commands.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found")
        now.result = "removed, with the definition of QuantizedModel"


def _models_left(commands: Commands) -> int:
    """Return how many QuantizedModels the cluster has."""
    if not commands.kubectl("get", "crd", "quantizedmodels.qmodel.dev", "--ignore-not-found"):
        return 0
    return len(commands.kubectl("get", "quantizedmodels", "-A", "-o=name").split())


def _generation(commands: Commands, namespace: str, name: str) -> str:
    """Return the generation of a Deployment, empty where there is none."""
    path = "-o=jsonpath={.metadata.generation}"
    return commands.kubectl("get", "deployment", name, "-n", namespace, "--ignore-not-found", path)


def _already(before: str, after: str) -> str:
    return " (was there already)" if before == after else ""
