"""Which accelerator a model gets, from what it asks for and what the nodes have.

GPUs are looked up by the node's allocatable extended resource; their memory is known only where
GPU feature discovery (or a person) labelled the node with it.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from qmodel.api.placement import NodeSelector
from qmodel.api.quantities import parse_quantity
from qmodel.api.serving import Accelerator, AcceleratorType
from qmodel.api.status import AcceleratorStatus
from qmodel.planner.observed import Node

GPU_MEMORY_LABEL = "nvidia.com/gpu.memory"
"""Memory of one GPU in MiB (GPU feature discovery)."""
GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
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
    reason = f"spec.accelerator.type is {wanted.type}"
    if wanted.type is AcceleratorType.AUTO:
        return _automatic(wanted, nodes, need_bytes, key)
    if wanted.type is AcceleratorType.CPU:
        return choose_cpu(key, reason)
    selector = _node_selector(wanted, nodes)
    sizes = _admitted_bytes(wanted, nodes, selector)
    memory_bytes = max(sizes, default=0) if all(sizes) else 0
    return _gpu(wanted, key, selector, memory_bytes, "; ".join([reason, *_missing(wanted, nodes)]))


def choose_cpu(key: str, reason: str, memory_bytes: int = 0) -> AcceleratorStatus:
    """Return the choice of the CPU, beside GPUs with so much memory at most."""
    return AcceleratorStatus(
        key=key, type=AcceleratorType.CPU, memory_bytes=memory_bytes, reason=reason
    )


def _gpu(
    wanted: Accelerator, key: str, selector: NodeSelector, memory_bytes: int, reason: str
) -> AcceleratorStatus:
    """Return the choice of GPUs on the nodes that the selector admits."""
    return AcceleratorStatus(
        key=key,
        type=AcceleratorType.GPU,
        resource_name=wanted.resource_name,
        count=wanted.count,
        node_selector=selector,
        tolerations=wanted.tolerations or [],
        memory_bytes=memory_bytes,
        reason=reason,
    )


def _automatic(
    wanted: Accelerator, nodes: tuple[Node, ...], need_bytes: int, key: str
) -> AcceleratorStatus:
    """Take GPUs where some node's known GPU memory holds the estimate, else the CPU."""
    missing = _missing(wanted, nodes)
    if missing:
        return choose_cpu(key, f"Auto: {missing[0]}")
    largest = max(_gpu_memory_bytes(n, wanted.count) for n in _with_gpus(wanted, nodes))
    need = f"the estimate of {need_bytes // _MIB} MiB"
    if largest == 0:
        return choose_cpu(key, f"Auto: no GPU node publishes its memory as {GPU_MEMORY_LABEL}")
    if largest < need_bytes:
        reason = f"Auto: {need} exceeds the largest GPU memory, {largest // _MIB} MiB"
        return choose_cpu(key, reason, largest)
    selector = _fitting_selector(wanted, nodes, need_bytes)
    smallest = min(_admitted_bytes(wanted, nodes, selector))
    reason = f"Auto: {need} fits {smallest // _MIB} MiB of GPU memory"
    return _gpu(wanted, key, selector, smallest, reason)


def _fitting_selector(
    wanted: Accelerator, nodes: tuple[Node, ...], need_bytes: int
) -> NodeSelector:
    """Return the widest selector whose nodes all hold the estimate, for the smallest such GPU.

    A selector has no "or": where some GPUs are too small, one product is chosen, or one size where
    nodes of a product differ.
    """
    return next(
        selector
        for selector in _selectors(wanted, nodes, need_bytes)
        if min(_admitted_bytes(wanted, nodes, selector)) >= need_bytes
    )


def _selectors(
    wanted: Accelerator, nodes: tuple[Node, ...], need_bytes: int
) -> Iterator[NodeSelector]:
    """Return selectors that admit nodes whose GPUs hold the estimate, the preferred first."""
    base = _node_selector(wanted, nodes)
    yield base
    sizes = [(_gpu_memory_bytes(n, wanted.count), n.name, n) for n in _with_gpus(wanted, nodes)]
    fitting = [node for size, _, node in sorted(sizes, key=lambda s: s[:2]) if size >= need_bytes]
    for label in (GPU_PRODUCT_LABEL, GPU_MEMORY_LABEL):
        yield from ({**base, label: n.labels[label]} for n in fitting if label in n.labels)


def _admitted_bytes(
    wanted: Accelerator, nodes: Iterable[Node], selector: NodeSelector
) -> list[int]:
    """Return what is known of the GPU memory of each node where the model's pods could come to run.

    A cordoned node is one of them: it may come back before the pods do.
    """
    return [
        _gpu_memory_bytes(node, wanted.count)
        for node in nodes
        if selector.items() <= node.labels.items()
        and parse_quantity(node.allocatable.get(wanted.resource_name, "0")) > 0
    ]


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
