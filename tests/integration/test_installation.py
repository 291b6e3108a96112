"""Chart and manifests: what helm renders, that kustomize says the same, and that it is taken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from cluster import target, tools
from cluster.commands import ClusterError, run
from qmodel.api.crd import NAME
from qmodel.settings import IMAGE_VARIABLES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "quantized-model-operator"
RELEASE = "quantized-model-operator"
NAMESPACE = "qmodel-system"
OPERATOR_IMAGE = "images.operator.repository=qmodel/operator"
"""The only setting that has to be made."""
Objects = dict[tuple[str, str], dict[str, Any]]


def rendered(*settings: str) -> Objects:
    """Return what the chart makes of these settings, by kind and name."""
    return by_name(run(helm_template(*settings)))


def helm_template(*settings: str) -> list[str | Path]:
    """Return the command that renders the chart with these settings."""
    where = ["--namespace", NAMESPACE]
    chosen = [word for setting in (OPERATOR_IMAGE, *settings) for word in ("--set", setting)]
    return [tools.helm(), "template", RELEASE, CHART, *where, *chosen]


def notes(*settings: str) -> str:
    """Return what helm tells who installs the chart with these settings."""
    words = helm_template(*settings)
    words[words.index("template")] = "install"
    return run([*words, "--dry-run=client"]).partition("NOTES:")[2]


def refusal(*settings: str) -> str:
    """Return what helm says against these settings; nothing where it takes them."""
    try:
        run(helm_template(*settings))
    except ClusterError as error:
        return str(error)
    return ""


def by_name(text: str) -> Objects:
    """Return the objects of a YAML stream by kind and name."""
    # In C, ten times as fast: the definition has 3,000 lines, and is in nearly all of them.
    documents = [d for d in yaml.load_all(text, Loader=yaml.CSafeLoader) if d]
    return {(d["kind"], d["metadata"]["name"]): d for d in documents}


def kustomized(folder: str) -> Objects:
    """Return what kustomize makes of a folder."""
    return by_name(target.kubectl(["kustomize", str(ROOT / "manifests" / folder)]))


def without_helm(objects: Objects) -> Objects:
    """Return the objects without what only helm reads."""
    for each in objects.values():
        each["metadata"].get("labels", {}).pop("app.kubernetes.io/managed-by", None)
        annotations = each["metadata"].get("annotations", {})
        annotations.pop("helm.sh/resource-policy", None)
        if not annotations:
            each["metadata"].pop("annotations", None)
    return objects


def pod_of(objects: Objects) -> dict[str, Any]:
    """Return the spec of the operator's pod."""
    pod: dict[str, Any] = objects["Deployment", RELEASE]["spec"]["template"]["spec"]
    return pod


def operator_of(objects: Objects) -> dict[str, Any]:
    """Return the operator's container."""
    container: dict[str, Any] = pod_of(objects)["containers"][0]
    return container


def environment_of(objects: Objects) -> dict[str, str]:
    """Return the operator's environment, as far as it is literal."""
    return {e["name"]: e["value"] for e in operator_of(objects)["env"] if "value" in e}


def rules_of(objects: Objects) -> list[dict[str, Any]]:
    """Return every rule that the operator is bound to."""
    bound = [
        objects[each["roleRef"]["kind"], each["roleRef"]["name"]]
        for each in objects.values()
        if each["kind"] in {"RoleBinding", "ClusterRoleBinding"}
    ]
    return [rule for role in bound for rule in role["rules"]]


def test_kustomize_makes_the_same_objects_as_the_chart() -> None:
    base = kustomized("base")
    assert base.pop(("Namespace", NAMESPACE))
    assert base == without_helm(rendered())


def test_the_sample_overlay_changes_images_and_endpoint() -> None:
    overlay = kustomized("samples/overlay")
    assert operator_of(overlay)["image"].startswith("registry.example.com/")
    environment = environment_of(overlay)
    assert environment["HF_ENDPOINT"] == "https://hub.example.com"
    assert environment["QMODEL_IMAGE_LLAMACPP"].startswith("registry.example.com/")


def test_the_operator_has_no_verb_on_secrets_and_no_wildcard() -> None:
    for objects in (rendered(), rendered("namespaces={a,b}", "replicas=2")):
        rules = rules_of(objects)
        assert rules
        for rule in rules:
            words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not {"*", "secrets", "escalate", "bind", "impersonate"} & set(words)


def test_namespaces_make_roles_there_and_no_cluster_role_but_for_nodes() -> None:
    objects = rendered("namespaces={team-a,team-b}")
    roles = {each["metadata"]["namespace"] for (kind, _), each in objects.items() if kind == "Role"}
    bindings = [o["roleRef"]["name"] for (k, _), o in objects.items() if k == "ClusterRoleBinding"]
    assert roles <= {"team-a", "team-b"}
    assert bindings == [f"{RELEASE}-nodes"]
    assert operator_of(objects)["args"] == ["--namespace=team-a", "--namespace=team-b"]


def test_several_replicas_elect_a_leader() -> None:
    objects = rendered("replicas=2")
    assert operator_of(objects)["args"] == ["--leader-elect"]
    assert ("Role", f"{RELEASE}-leader") in objects
    assert ("Role", f"{RELEASE}-leader") not in rendered()
    strategy = objects["Deployment", RELEASE]["spec"]["strategy"]
    assert strategy["rollingUpdate"].keys() == {"maxSurge", "maxUnavailable"}
    assert rendered()["Deployment", RELEASE]["spec"]["strategy"] == {"type": "Recreate"}


def test_several_replicas_keep_apart_and_are_evicted_one_at_a_time() -> None:
    objects = rendered("replicas=2")
    ours = objects["Deployment", RELEASE]["spec"]["selector"]
    affinity = pod_of(objects)["affinity"]["podAntiAffinity"]
    (term,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"]["labelSelector"] == ours
    assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    budget = objects["PodDisruptionBudget", RELEASE]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": ours}


def test_one_replica_has_no_budget_and_a_given_affinity_is_the_only_one() -> None:
    assert ("PodDisruptionBudget", RELEASE) not in rendered()
    assert "affinity" not in pod_of(rendered())
    given = pod_of(rendered("replicas=2", "affinity.nodeAffinity.x=y"))["affinity"]
    assert given == {"nodeAffinity": {"x": "y"}}


def test_a_spread_constraint_counts_the_operators_pods_unless_it_says_which() -> None:
    first, second = "topologySpreadConstraints[0]", "topologySpreadConstraints[1]"
    settings = [
        f"{each}.{field}"
        for each in (first, second)
        for field in ("maxSkew=1", "topologyKey=zone", "whenUnsatisfiable=ScheduleAnyway")
    ]
    objects = rendered(*settings, f"{second}.labelSelector.matchLabels.team=research")
    ours = objects["Deployment", RELEASE]["spec"]["selector"]
    found = [each["labelSelector"] for each in pod_of(objects)["topologySpreadConstraints"]]
    assert found == [ours, {"matchLabels": {"team": "research"}}]
    assert pod_of(objects)["topologySpreadConstraints"][0]["maxSkew"] == 1


def test_security_contexts_are_merged_over_the_charts() -> None:
    """Null removes a field, as OpenShift needs it, which chooses the ids itself."""
    objects = rendered(
        "podSecurityContext.runAsUser=null",
        "podSecurityContext.runAsGroup=null",
        "podSecurityContext.fsGroup=1",
        "securityContext.privileged=false",
    )
    assert pod_of(objects)["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroup": 1,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    usual = operator_of(rendered())["securityContext"]
    assert operator_of(objects)["securityContext"] == {**usual, "privileged": False}


def test_metrics_are_scraped_where_that_is_asked_for() -> None:
    assert ("ServiceMonitor", RELEASE) not in rendered()
    objects = rendered(
        "serviceMonitor.enabled=true",
        "serviceMonitor.interval=30s",
        "serviceMonitor.labels.release=prometheus",
        "commonLabels.release=other",
    )
    monitor, service = objects["ServiceMonitor", RELEASE], objects["Service", f"{RELEASE}-metrics"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": "metrics", "interval": "30s"}
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    selected = monitor["spec"]["selector"]["matchLabels"]
    assert selected.items() <= service["metadata"]["labels"].items()


def test_the_metrics_service_takes_annotations() -> None:
    objects = rendered("service.annotations.team=research")
    service = objects["Service", f"{RELEASE}-metrics"]
    assert service["metadata"]["annotations"] == {"team": "research"}


def test_a_service_account_of_ones_own_is_bound_and_not_made() -> None:
    objects = rendered("serviceAccount.create=false", "serviceAccount.name=mine", "replicas=2")
    assert not [kind for kind, _ in objects if kind == "ServiceAccount"]
    assert pod_of(objects)["serviceAccountName"] == "mine"
    bound = [subject["name"] for o in objects.values() for subject in o.get("subjects", [])]
    assert bound
    assert set(bound) == {"mine"}


def test_common_labels_are_on_all_but_the_definition_and_never_instead_of_the_charts() -> None:
    objects = rendered(
        "commonLabels.team=research",
        "commonLabels.app\\.kubernetes\\.io/name=mine",
        "commonLabels.rbac\\.authorization\\.k8s\\.io/aggregate-to-view=no",
        "podLabels.team=inference",
        "replicas=2",
        "serviceMonitor.enabled=true",
    )
    del objects["CustomResourceDefinition", NAME]
    for each in objects.values():
        labels = each["metadata"]["labels"]
        assert (labels["team"], labels["app.kubernetes.io/name"]) == ("research", "qmodel")
    view = objects["ClusterRole", f"{RELEASE}-view"]["metadata"]["labels"]
    assert view["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    spec = objects["Deployment", RELEASE]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert labels["team"] == "inference"


def test_images_are_repository_and_tag() -> None:
    objects = rendered("images.llamacpp.repository=example.com/llama", "images.llamacpp.tag=v7")
    environment = environment_of(objects)
    assert environment["QMODEL_IMAGE_LLAMACPP"] == "example.com/llama:v7"
    assert environment["QMODEL_IMAGE_OPERATOR"] == "qmodel/operator:0.1.0"
    assert operator_of(objects)["image"] == "qmodel/operator:0.1.0"


def test_images_that_are_not_set_are_left_out() -> None:
    environment = environment_of(rendered("images.vllmCuda=null"))
    assert {n for n in environment if n.startswith("QMODEL_IMAGE_")} == {"QMODEL_IMAGE_OPERATOR"}
    assert "make push REGISTRY=" in refusal("images.operator.repository=")


def test_every_image_that_the_operator_knows_can_be_set() -> None:
    names = {to_camel(name): variable for name, variable in IMAGE_VARIABLES.items()}
    environment = environment_of(
        rendered(*(f"images.{n}.repository=example.com/{n}" for n in names))
    )
    assert {v: environment[v] for v in names.values()} == {
        variable: f"example.com/{name}:0.1.0" for name, variable in names.items()
    }


def test_the_notes_tell_which_images_are_missing() -> None:
    """The first model is one that runs with those that are there, in a namespace that counts."""
    told = notes("namespaces={team-a,team-b}", "images.llamacpp.repository=example.com/llamacpp")
    assert "NVIDIA GPUs (images.llamacppCuda, images.vllmCuda)" in told
    assert "images.llamacppWorker" in told
    assert "images.llamacpp," not in told
    assert "accelerator: {type: CPU}" in told
    assert "kubectl apply -n team-a -f -" in told
    told = notes("images.llamacppCuda.repository=example.com/llamacpp-cuda")
    assert "images.vllmCuda; a model that needs one" in told
    assert "NVIDIA" not in told
    assert "accelerator" not in told
    assert "kubectl apply -f -" in told


def test_the_operators_pod_stays_its_deployments() -> None:
    """Whatever labels it is given; the chart's stand once, the others beside them."""
    keys = ("component", "instance", "name")
    settings = [f"podLabels.app\\.kubernetes\\.io/{key}=mine" for key in keys]
    text = run(helm_template(*settings, "podLabels.team=research"))
    spec = by_name(text)["Deployment", RELEASE]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert labels == {**spec["selector"]["matchLabels"], "team": "research"}
    assert "mine" not in text


def test_nothing_cluster_wide_is_left_where_all_of_it_is_turned_off() -> None:
    """As the comment of `namespaces` says."""
    off = ("rbac.nodes=false", "rbac.aggregate=false", "crd.install=false")
    kinds = {kind for kind, _ in rendered("namespaces={team-a}", *off)}
    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "Service", "Deployment"}


def test_values_that_are_null_are_refused_by_name_or_count_as_empty() -> None:
    """Null removes a value; a template that stumbles over the gap says nothing that helps."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    names = list(values)
    for name, value in values.items():
        if isinstance(value, dict):
            names += [f"{name}.{key}" for key in value]
    for name in names:
        said = refusal(f"{name}=null")
        assert not said or (name.rpartition(".")[2] in said and "nil pointer" not in said)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("nonsense=1", "nonsense"),
        ("replicas=-1", "replicas"),
        ("hub.endpoint=http://hub.example.com", "allowInsecure"),
        ("hub.endpoint=hub.example.com", "endpoint"),
        ("images.pullPolicy=Sometimes", "pullPolicy"),
        ("images.vllm.tag=v7", "images/vllm/repository"),
        ("namespaces={Not-A-Namespace}", "namespaces"),
        ("serviceAccount.create=false", "serviceAccount/name"),
        ("serviceMonitor.interval=often", "interval"),
        ("topologySpreadConstraints[0].maxSkew=1", "topologyKey"),
        ("commonLabels.team=1", "commonLabels"),
    ],
)
def test_values_that_cannot_work_are_refused(setting: str, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        rendered(setting)


def test_the_definition_is_kept_on_uninstall() -> None:
    definition = rendered()["CustomResourceDefinition", NAME]
    assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert ("CustomResourceDefinition", NAME) not in rendered("crd.install=false")


@pytest.mark.parametrize(
    "made",
    [
        rendered,
        lambda: rendered("replicas=2"),
        lambda: kustomized("base"),
        lambda: kustomized("samples/overlay"),
    ],
    ids=["helm", "helm-replicas", "kustomize", "overlay"],
)
def test_the_api_server_takes_every_object(made: Callable[[], Objects]) -> None:
    objects = made()
    namespaced = [o for o in objects.values() if o["kind"] != "Namespace"]
    for each in namespaced:
        if "namespace" in each["metadata"]:
            each["metadata"]["namespace"] = "default"
    told = target.kubectl(
        ["apply", "--dry-run=server", "--server-side", "--force-conflicts", "-f", "-"],
        stdin=yaml.safe_dump_all(namespaced),
    )
    assert told.count("serverside-applied") == len(namespaced)


@pytest.mark.parametrize("sample", sorted((ROOT / "manifests" / "samples").glob("*.yaml")))
def test_the_api_server_takes_every_sample(sample: Path) -> None:
    told = target.kubectl(["apply", "--dry-run=server", "-n", "default", "-f", str(sample)])
    assert "server dry run" in told
