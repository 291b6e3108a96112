"""GPUs that a node only claims to have, named as GPU feature discovery names them."""

import json
from dataclasses import dataclass

from cluster import target

RESOURCE = "nvidia.com/gpu"


@dataclass(frozen=True)
class Gpus:
    """The GPUs of one node."""

    count: int
    product: str
    memory_mib: int

    def labels(self) -> dict[str, str]:
        """Return the labels that GPU feature discovery would give the node."""
        return {
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.count": str(self.count),
            "nvidia.com/gpu.product": self.product,
            "nvidia.com/gpu.memory": str(self.memory_mib),
        }


def pretend(node: str, gpus: Gpus) -> None:
    """Let a real node claim GPUs; a count of 0 takes them away again.

    Pods that ask for them are scheduled and run: the kubelet keeps resources it does not know.
    """
    labels = {key: value if gpus.count else None for key, value in gpus.labels().items()}
    quantity = {RESOURCE: str(gpus.count) if gpus.count else None}
    _patch(node, {"metadata": {"labels": labels}})
    status = {"capacity": quantity, "allocatable": quantity}
    _patch(node, {"status": status}, "--subresource=status")


def _patch(node: str, patch: dict[str, object], *options: str) -> None:
    target.kubectl(["patch", "node", node, "--type=merge", *options, f"-p={json.dumps(patch)}"])
