"""Which accelerator a model gets, from what it asks for and what the nodes have.

GPUs are looked up by the node's allocatable extended resource; their memory is known only where
GPU feature discovery (or a person) labelled the node with it.
"""

from collections.abc import Iterable
from decimal import Decimal

from qmodel.api.quantities import parse_quantity
from qmodel.api.serving import Accelerator, AcceleratorType
from qmodel.api.status import AcceleratorStatus
from qmodel.planner.model import Node

GPU_MEMORY_LABEL = "nvidia.com/gpu.memory"
"""Memory of one GPU in MiB (GPU feature discovery)."""
GPU_PRESENT_LABEL = "nvidia.com/gpu.present"
_MIB = 2**20
_SHOWN_NODES = 5
"""Nodes that a message names."""


def choose_accelerator(
    wanted: Accelerator, nodes: tuple[Node, ...], need_bytes: int, key: str
) -> AcceleratorStatus:
    """Return the accelerator of the Jobs that need one and of the server.

    A GPU that is asked for by name is taken even where no node has it: an autoscaler may add the
    node. The reason then says what is missing.

    Parameters
    ----------
    wanted
        What spec asks for.
    nodes
        All nodes of the cluster.
    need_bytes
        Estimated GPU memory of one server.
    key
        Identifies what this is chosen for.
    """
    found, reason = wanted.type, f"spec.accelerator.type is {wanted.type}"
    if wanted.type is AcceleratorType.AUTO:
        found, reason = _automatic(wanted, nodes, need_bytes)
    if found is AcceleratorType.CPU:
        return AcceleratorStatus(key=key, type=found, reason=reason)
    return AcceleratorStatus(
        key=key,
        type=found,
        resource_name=wanted.resource_name,
        count=wanted.count,
        node_selector=_node_selector(wanted, nodes),
        tolerations=wanted.tolerations or [],
        reason="; ".join([reason, *_missing(wanted, nodes)]),
    )


def _automatic(
    wanted: Accelerator, nodes: tuple[Node, ...], need_bytes: int
) -> tuple[AcceleratorType, str]:
    """Take GPUs where some node's known GPU memory holds the estimate, else the CPU."""
    missing = _missing(wanted, nodes)
    if missing:
        return AcceleratorType.CPU, f"Auto: {missing[0]}"
    largest = max(_gpu_memory_bytes(n, wanted.count) for n in _with_gpus(wanted, nodes))
    need = f"the estimate of {need_bytes // _MIB} MiB"
    if largest == 0:
        reason = f"Auto: no GPU node publishes its memory as {GPU_MEMORY_LABEL}"
        return AcceleratorType.CPU, reason
    if largest < need_bytes:
        reason = f"Auto: {need} exceeds the largest GPU memory, {largest // _MIB} MiB"
        return AcceleratorType.CPU, reason
    return AcceleratorType.GPU, f"Auto: {need} fits {largest // _MIB} MiB of GPU memory"


def _missing(wanted: Accelerator, nodes: tuple[Node, ...]) -> list[str]:
    """Return what no node can give, and what the nodes have instead; empty if one can."""
    if _with_gpus(wanted, nodes):
        return []
    where = f" on nodes labelled {_selector_text(wanted)}" if wanted.node_selector else ""
    asked = f"no schedulable node offers {wanted.count} x {wanted.resource_name}{where}"
    return [f"{asked}: {_offers(wanted.resource_name, nodes)}"]


def _allocatable(node: Node, resource: str) -> Decimal:
    """Return how much of a resource a node can give; a cordoned one gives nothing."""
    return parse_quantity(node.allocatable.get(resource, "0")) if node.schedulable else Decimal(0)


def _with_gpus(wanted: Accelerator, nodes: Iterable[Node]) -> list[Node]:
    """Return the schedulable nodes that match the selector and have enough GPUs."""
    selector = (wanted.node_selector or {}).items()
    return [
        node
        for node in nodes
        if selector <= node.labels.items()
        and _allocatable(node, wanted.resource_name) >= wanted.count
    ]


def _gpu_memory_bytes(node: Node, count: int) -> int:
    """Return the labelled memory of `count` GPUs of a node, in bytes; 0 where it is not known."""
    label = node.labels.get(GPU_MEMORY_LABEL, "")
    return int(label) * _MIB * count if label.isdecimal() else 0


def _node_selector(wanted: Accelerator, nodes: Iterable[Node]) -> dict[str, str]:
    """Return the selector that keeps every pod of the model near the GPUs.

    The first pod binds the volume, and asks for no GPU itself: without a node label it could bind
    the volume where no GPU is.
    """
    selector = dict(wanted.node_selector or {})
    having = [n for n in nodes if _allocatable(n, wanted.resource_name) > 0]
    if having and all(n.labels.get(GPU_PRESENT_LABEL) == "true" for n in having):
        selector[GPU_PRESENT_LABEL] = "true"
    return selector


def _selector_text(wanted: Accelerator) -> str:
    """Return a node selector as people write it."""
    return ",".join(f"{key}={value}" for key, value in sorted((wanted.node_selector or {}).items()))


def _offers(resource: str, nodes: Iterable[Node]) -> str:
    """Return what the nodes have of the resource."""
    found = [
        f"{node.name}: {node.allocatable[resource]}"
        for node in sorted(nodes, key=lambda n: n.name)
        if resource in node.allocatable
    ]
    if not found:
        return f"no node has {resource} at all"
    shown = ", ".join(found[:_SHOWN_NODES])
    more = f" and {len(found) - _SHOWN_NODES} more" if len(found) > _SHOWN_NODES else ""
    return f"they have {shown}{more}"
