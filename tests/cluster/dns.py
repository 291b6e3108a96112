"""Names of Services for the pods: a process on the node's address, behind the usual Service."""

from pathlib import Path

from cluster import processes
from cluster.certificates import kubeconfig
from cluster.settings import CLUSTER_DOMAIN, DNS_PORT, DNS_SERVICE_ADDRESS, NODE_ADDRESS

SERVICE = f"""\
apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec:
  clusterIP: {DNS_SERVICE_ADDRESS}
  ports:
  - {{name: dns, port: 53, protocol: UDP, targetPort: {DNS_PORT}}}
  - {{name: dns-tcp, port: 53, protocol: TCP, targetPort: {DNS_PORT}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kube-dns
  namespace: kube-system
  labels: {{kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports:
- {{name: dns, port: {DNS_PORT}, protocol: UDP}}
- {{name: dns-tcp, port: {DNS_PORT}, protocol: TCP}}
endpoints:
- addresses: [{NODE_ADDRESS}]
"""


def start(binaries: Path) -> None:
    """Start the name server unless it runs."""
    processes.start(
        "cluster-dns",
        [
            binaries / "cluster-dns",
            f"--kubeconfig={kubeconfig('admin')}",
            f"--address={NODE_ADDRESS}:{DNS_PORT}",
            f"--domain={CLUSTER_DOMAIN}",
        ],
    )
