"""Whether the pods can be near to others and on the node of a ReadWriteOnce volume too.

That volume keeps all pods of a model on one node, by a required pod affinity to one another beside
what the user requires. The scheduler counts a pod for neither unless it meets all of these terms,
and lets the first pod meet them by itself (kube-scheduler, interpodaffinity/filtering.go,
satisfyPodAffinity). So a term that our own pods do not meet leaves every one of them pending.
"""

from qmodel.api.affinity import LabelRequirement, LabelSelector, PodTerm
from qmodel.api.resource import QuantizedModel
from qmodel.naming import labels_of_all
from qmodel.planner.problem import Problem

_FIELD = "spec.serving.podTemplate.affinity.podAffinity"


def problem(model: QuantizedModel) -> Problem | None:
    """Return the reason and the message why no pod could be scheduled, or None."""
    if not model.spec.storage.is_on_one_node:
        return None
    if all(_may_meet(term, model) for term in _required(model)):
        return None
    return "AffinityDoesNotFit", (
        f"{_FIELD}.requiredDuringSchedulingIgnoredDuringExecution asks for pods of others, but a"
        " ReadWriteOnce volume keeps all pods of the model on one node by such a term too, and"
        " Kubernetes wants pods that meet all terms at once: use preferredDuringScheduling"
        "IgnoredDuringExecution or nodeAffinity, or a volume with spec.storage.accessMode"
        " ReadWriteMany"
    )


def _required(model: QuantizedModel) -> list[PodTerm]:
    """Return the pods that the user wants ours to be near to, come what may."""
    template = model.spec.serving.pod_template
    affinity = None if template is None else template.affinity
    near = None if affinity is None else affinity.pod_affinity
    found = None if near is None else near.required_during_scheduling_ignored_during_execution
    return found or []


def _may_meet(term: PodTerm, model: QuantizedModel) -> bool:
    """Whether every pod of the model meets a term, as far as is known here.

    Labels of namespaces are not. What a user labels the servers with, the Jobs' pods have not.
    """
    labels = labels_of_all(model.name, model.uid)
    if term.label_selector is None or labels.keys() & (term.mismatch_label_keys or ()):
        return False
    return _may_be_here(term, model.namespace) and _selects(term.label_selector, labels)


def _may_be_here(term: PodTerm, namespace: str) -> bool:
    """Whether a term may speak of pods of that namespace."""
    if term.namespace_selector is not None:
        return True
    return not term.namespaces or namespace in term.namespaces


def _selects(selector: LabelSelector, labels: dict[str, str]) -> bool:
    """Whether a selector selects what carries these labels."""
    if not (selector.match_labels or {}).items() <= labels.items():
        return False
    return all(_is_met(each, labels) for each in selector.match_expressions or ())


def _is_met(requirement: LabelRequirement, labels: dict[str, str]) -> bool:
    """Whether labels meet a requirement."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in (requirement.values or ())
        case "NotIn":
            return value not in (requirement.values or ())
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
