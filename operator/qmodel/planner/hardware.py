"""What is known of the hardware that a model will run on."""

from collections.abc import Sequence
from dataclasses import dataclass

from qmodel.api.status import AcceleratorStatus
from qmodel.planner.engine import tensor_parallel_size
from qmodel.planner.observed import Node

Capability = tuple[int, int]
"""Major and minor number of CUDA's compute capability."""

_MAJOR_LABEL = "nvidia.com/gpu.compute.major"
_MINOR_LABEL = "nvidia.com/gpu.compute.minor"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the model will run on, as far as it is known."""

    gpus: int | None = None
    """GPUs of one server; 0: a CPU; None: not chosen yet."""
    capability: Capability | None = None
    """The highest among the nodes that could be chosen; None: not published."""
    gpu_in_cluster: bool = True
    tensor_parallel_size: int = 1


def hardware(
    chosen: AcceleratorStatus | None, nodes: Sequence[Node], resource: str, parallel: int | None
) -> Hardware:
    """Return what is known of the hardware.

    Parameters
    ----------
    chosen
        The accelerator, once it is chosen.
    nodes
        All nodes of the cluster.
    resource
        Extended resource that a GPU is asked for by.
    parallel
        `spec.serving.tensorParallelSize`; without it a server spreads over its GPUs.
    """
    selector = (chosen.node_selector if chosen else {}).items()
    having = [n for n in nodes if n.allocatable.get(resource, "0") not in ("", "0")]
    able = [node for node in having if selector <= node.labels.items()]
    known = [found for node in able if (found := _capability(node))]
    gpus = None if chosen is None else chosen.count
    return Hardware(
        gpus=gpus,
        capability=max(known, default=None),
        gpu_in_cluster=bool(having),
        tensor_parallel_size=tensor_parallel_size(parallel, gpus or 0),
    )


def _capability(node: Node) -> Capability | None:
    """Return what GPU feature discovery (or a person) labelled a node with."""
    major, minor = node.labels.get(_MAJOR_LABEL, ""), node.labels.get(_MINOR_LABEL, "0")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
