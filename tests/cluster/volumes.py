"""Storage classes and the process that provisions their volumes."""

from pathlib import Path

from cluster import processes
from cluster.certificates import kubeconfig
from cluster.settings import NODE_NAME, STATE

PROVISIONER = "qmodel.dev/local"
FOLDER = STATE / "volumes"
CLASSES = f"""\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local
  annotations: {{storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: {PROVISIONER}
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: sized}}
provisioner: {PROVISIONER}
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
parameters: {{sized: "true"}}
"""
"""`local`: folders of the node's disk. `sized`: file systems that end at the size asked for, so
that a test can fill one."""


def start(binaries: Path) -> None:
    """Start the provisioner unless it runs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    processes.start(
        "volume-provisioner",
        [
            binaries / "volume-provisioner",
            f"--kubeconfig={kubeconfig('admin')}",
            f"--name={PROVISIONER}",
            f"--folder={FOLDER}",
            f"--node={NODE_NAME}",
        ],
    )
