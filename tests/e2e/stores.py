"""An S3 server and a registry in the namespace of a module, and the Secrets that open them."""

import base64
import json

from e2e.kube import Object
from e2e.models import CORE, Models, is_ready
from stores.image import BUCKET, PREFIX, REGISTRY_PORT, REPOSITORY, S3_PORT, TAG
from stores.registry import PASSWORD, USER
from stores.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY

NAME = "stores"
READY_SECONDS = 120
KEYS, WRONG_KEYS, PULL_SECRET = "s3-keys", "s3-wrong-keys", "pull-secret"


class Stores:
    """The servers of one namespace.

    Parameters
    ----------
    models
        The namespace.
    image
        Of the servers; it brings their content.
    """

    def __init__(self, models: Models, image: str) -> None:
        self._models = models
        self._apply("pods", NAME, _pod(image))
        service = self._apply("services", NAME, _service())
        self._address = service["spec"]["clusterIP"]
        self._secret(KEYS, {"accessKeyId": ACCESS_KEY_ID, "secretAccessKey": SECRET_ACCESS_KEY})
        self._secret(WRONG_KEYS, {"accessKeyId": ACCESS_KEY_ID, "secretAccessKey": "wrong"})
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        docker = json.dumps({"auths": {self.registry: {"auth": pair}}})
        kind = "kubernetes.io/dockerconfigjson"
        self._secret(PULL_SECRET, {".dockerconfigjson": docker}, kind)
        path = models.path(CORE, "pods", NAME)
        models.kube.wait(path, lambda pod: pod and is_ready(pod), READY_SECONDS, "ready")

    @property
    def registry(self) -> str:
        """Host and port."""
        return f"{self._address}:{REGISTRY_PORT}"

    def bucket(self, secret: str = KEYS, prefix: str = PREFIX) -> Object:
        """Return a source: a folder of the bucket."""
        place = {"uri": f"s3://{BUCKET}/{prefix}", "region": REGION}
        endpoint = f"http://{self._address}:{S3_PORT}"
        return {"s3": {**place, "endpoint": endpoint, "credentialsSecretRef": {"name": secret}}}

    def artifact(self, tag: str = TAG, secret: str | None = PULL_SECRET) -> Object:
        """Return a source: the artifact of the registry."""
        place = {"reference": f"{self.registry}/{REPOSITORY}:{tag}", "insecure": True}
        return {"oci": {**place, **({"pullSecretRef": {"name": secret}} if secret else {})}}

    def _apply(self, plural: str, name: str, body: Object) -> Object:
        return self._models.kube.apply(self._models.path(CORE, plural, name), body)

    def _secret(self, name: str, content: dict[str, str], kind: str = "Opaque") -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": content}
        self._apply("secrets", name, body)


def _service() -> Object:
    ports = [{"name": f"port-{port}", "port": port} for port in (S3_PORT, REGISTRY_PORT)]
    body = {"selector": {"app": NAME}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "spec": body}


def _pod(image: str) -> Object:
    s3 = ["/srv/bin/versitygw", "--port", f":{S3_PORT}", "--region", REGION, "--quiet"]
    s3 += ["posix", "--sidecar", "/srv/s3/metadata", "/srv/s3/objects"]
    keys = {"ROOT_ACCESS_KEY": ACCESS_KEY_ID, "ROOT_SECRET_KEY": SECRET_ACCESS_KEY}
    registry = ["/srv/bin/registry", "serve", "/srv/registry.yaml"]
    quiet = {"OTEL_TRACES_EXPORTER": "none"}
    containers = [
        _container("s3", image, s3, S3_PORT, keys),
        _container("registry", image, registry, REGISTRY_PORT, quiet),
    ]
    body = {"containers": containers, "automountServiceAccountToken": False}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"app": NAME}},
        "spec": body,
    }


def _container(
    name: str, image: str, command: list[str], port: int, variables: dict[str, str]
) -> Object:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "ports": [{"containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
    }
