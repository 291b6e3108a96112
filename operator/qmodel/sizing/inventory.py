"""Which accelerator a model gets, from what it asks for and what the nodes have.

GPUs are looked up by the node's allocatable extended resource; their memory is known only where
GPU feature discovery (or a person) labelled the node with it.
"""

import json
from collections.abc import Iterable
from decimal import Decimal

from qmodel.api.quantities import parse_quantity
from qmodel.api.serving import Accelerator, AcceleratorType
from qmodel.api.status import AcceleratorStatus
from qmodel.naming import short_hash
from qmodel.planner.model import Node

GPU_MEMORY_LABEL = "nvidia.com/gpu.memory"
"""Memory of one GPU in MiB (GPU feature discovery)."""
GPU_PRESENT_LABEL = "nvidia.com/gpu.present"
_MIB = 2**20
_SHOWN_NODES = 5
"""Nodes that a message names."""


def accelerator_key(wanted: Accelerator) -> str:
    """Return what a choice depends on: all that spec says of the accelerator."""
    return short_hash(json.dumps(wanted.to_wire(), sort_keys=True))


def choose_accelerator(
    wanted: Accelerator, nodes: tuple[Node, ...], need_bytes: int
) -> AcceleratorStatus:
    """Return the accelerator of the Jobs that need one and of the server.

    Parameters
    ----------
    wanted
        What spec asks for.
    nodes
        All nodes of the cluster.
    need_bytes
        Estimated memory of one server.
    """
    match wanted.type:
        case AcceleratorType.CPU:
            return _cpu(wanted, "spec.accelerator.type is CPU")
        case AcceleratorType.GPU:
            return _gpu(wanted, nodes, "spec.accelerator.type is GPU")
        case AcceleratorType.AUTO:
            return _automatic(wanted, nodes, need_bytes)


def largest_allocatable(nodes: Iterable[Node], resource: str) -> Decimal:
    """Return the most of a resource that one schedulable node can give; 0 where none has it."""
    found = (parse_quantity(n.allocatable.get(resource, "0")) for n in nodes if n.schedulable)
    return max(found, default=Decimal(0))


def problem(wanted: Accelerator, nodes: tuple[Node, ...]) -> str | None:
    """Return why no node can give the GPUs that are asked for, or None.

    It is no reason to stop: an autoscaler may add the node.
    """
    if wanted.type is not AcceleratorType.GPU or _with_gpus(wanted, nodes):
        return None
    asked = f"{wanted.count} x {wanted.resource_name}"
    where = f" on nodes labelled {_selector_text(wanted)}" if wanted.node_selector else ""
    return f"no schedulable node offers {asked}{where}; {_offers(wanted.resource_name, nodes)}"


def _cpu(wanted: Accelerator, reason: str) -> AcceleratorStatus:
    """Return the choice of no accelerator."""
    return AcceleratorStatus(key=accelerator_key(wanted), type=AcceleratorType.CPU, reason=reason)


def _gpu(wanted: Accelerator, nodes: Iterable[Node], reason: str) -> AcceleratorStatus:
    """Return the choice of GPUs as they are asked for."""
    return AcceleratorStatus(
        key=accelerator_key(wanted),
        type=AcceleratorType.GPU,
        resource_name=wanted.resource_name,
        count=wanted.count,
        node_selector=_node_selector(wanted, nodes),
        tolerations=wanted.tolerations or [],
        reason=reason,
    )


def _automatic(wanted: Accelerator, nodes: tuple[Node, ...], need_bytes: int) -> AcceleratorStatus:
    """Take GPUs where some node's known GPU memory holds the estimate, else the CPU."""
    having = _with_gpus(wanted, nodes)
    if not having:
        asked = f"{wanted.count} x {wanted.resource_name}"
        return _cpu(wanted, f"Auto: no schedulable node offers {asked}")
    largest = max(_gpu_memory_bytes(node, wanted.count) for node in having)
    need = f"the estimate of {need_bytes // _MIB} MiB"
    if largest == 0:
        return _cpu(wanted, f"Auto: no GPU node publishes its memory as {GPU_MEMORY_LABEL}")
    if largest < need_bytes:
        return _cpu(wanted, f"Auto: {need} exceeds the largest GPU memory, {largest // _MIB} MiB")
    return _gpu(wanted, nodes, f"Auto: {need} fits {largest // _MIB} MiB of GPU memory")


def _with_gpus(wanted: Accelerator, nodes: Iterable[Node]) -> list[Node]:
    """Return the schedulable nodes that match the selector and have enough GPUs."""
    selector = (wanted.node_selector or {}).items()
    return [
        node
        for node in nodes
        if selector <= node.labels.items()
        and largest_allocatable([node], wanted.resource_name) >= wanted.count
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
    having = [n for n in nodes if largest_allocatable([n], wanted.resource_name) > 0]
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
