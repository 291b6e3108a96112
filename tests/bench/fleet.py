"""The models of the scale benchmark and their children: post, wait for, take away."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from qmodel.api.base import GROUP, KIND, VERSION
from qmodel.cluster.client import ApiClient
from qmodel.cluster.errors import NotFound
from qmodel.cluster.kinds import CLAIM, DEPLOYMENT, JOB, MODEL, SERVICE, Kind, Scope
from qmodel.naming import MODEL_UID_LABEL

Object = dict[str, Any]

NAMESPACES = ("qmodel-bench-0", "qmodel-bench-1", "qmodel-bench-2")
STORAGE_CLASS = "qmodel-bench"
POSTERS = 16
"""Requests at once when posting and deleting."""
DELETE_SECONDS = 300
SPARE_VOLUMES = 10
JOBS_PER_MODEL = 4

NAMESPACE = Kind("Namespace", "namespaces", "", "v1", namespaced=False)
CLASS = Kind("StorageClass", "storageclasses", "storage.k8s.io", "v1", namespaced=False)
VOLUME = Kind("PersistentVolume", "persistentvolumes", "", "v1", namespaced=False)

AFTER_KILL = "after-the-kill"
"""How the names of models begin that are not compared."""

_KWOK = "kwok.x-k8s.io/node"
_CHILDREN = (CLAIM, JOB, DEPLOYMENT, SERVICE)
_WRITTEN_BY_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


async def prepare(client: ApiClient, models: int) -> None:
    """Make namespaces and volumes: two for a model, with the operator and without."""
    for name in NAMESPACES:
        await client.create(NAMESPACE, "", {"metadata": {"name": name}})
    storage_class = {
        "metadata": {"name": STORAGE_CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
    }
    await client.create(CLASS, "", storage_class)
    volumes = [_volume(index) for index in range(2 * models + SPARE_VOLUMES)]
    await _in_parallel(lambda body: client.create(VOLUME, "", body), volumes)


async def clean(client: ApiClient) -> None:
    """Take everything away."""
    for scope in (Scope(NAMESPACE), Scope(VOLUME, None, STORAGE_CLASS), Scope(CLASS)):
        found = [body for body in await _listed(client, scope) if _is_ours(body)]
        await _in_parallel(lambda body, kind=scope.kind: delete(client, kind, body), found)
    async with asyncio.timeout(DELETE_SECONDS):
        # Nothing tells when the garbage collector is done.
        while any(map(_is_ours, await _listed(client, Scope(NAMESPACE)))):  # noqa: ASYNC110
            await asyncio.sleep(0.5)


def _is_ours(body: Object) -> bool:
    return bool(body["metadata"]["name"].startswith(STORAGE_CLASS))


async def _listed(client: ApiClient, scope: Scope) -> list[Object]:
    return [body async for page in client.list(scope) for body in page["items"]]


async def post_models(client: ApiClient, models: int) -> None:
    """Post all models as fast as the API server takes them."""
    names = [(f"model-{index}", NAMESPACES[index % len(NAMESPACES)]) for index in range(models)]
    await _in_parallel(lambda name: post_model(client, *name), names)


async def post_model(client: ApiClient, name: str, namespace: str) -> None:
    """Post one model whose pods run on kwok's nodes."""
    spec = {
        "source": {"huggingFace": {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct"}},
        "quantization": {
            "method": "GGUF",
            "gguf": {"type": "Q4_K_M"},
            "nodeSelector": {_KWOK: "fake"},
            "tolerations": [{"key": _KWOK, "operator": "Exists"}],
        },
        "accelerator": {"type": "CPU"},
        "storage": {"storageClassName": STORAGE_CLASS},
    }
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    await client.create(MODEL, namespace, body)


async def all_ready(client: ApiClient, models: int) -> None:
    """Wait until so many models are Ready."""
    await _wait_for(client, MODEL, _is_ready, models)


async def all_available(client: ApiClient, models: int) -> None:
    """Wait until the children of so many models are complete or available."""
    await asyncio.gather(
        _wait_for(client, JOB, _is_complete, JOBS_PER_MODEL * models),
        _wait_for(client, DEPLOYMENT, _is_available, models),
    )


async def manifests(client: ApiClient) -> list[Object]:
    """Return the children of all models as someone without an operator would post them."""
    return [
        _manifest(kind, body)
        for kind in _CHILDREN
        for body in await bodies(client, kind)
        if not body["metadata"]["name"].startswith(AFTER_KILL)
    ]


async def post_all(client: ApiClient, found: Iterable[Object]) -> None:
    """Post objects as fast as the API server takes them."""
    kinds = {kind.name: kind for kind in _CHILDREN}
    await _in_parallel(
        lambda body: client.create(kinds[body["kind"]], body["metadata"]["namespace"], body), found
    )


async def remove_models(client: ApiClient) -> None:
    """Delete all models and wait until the garbage collector has taken their children."""
    await _in_parallel(lambda body: delete(client, MODEL, body), await bodies(client, MODEL))
    async with asyncio.timeout(DELETE_SECONDS):
        for kind in _CHILDREN:
            while await bodies(client, kind):  # noqa: ASYNC110
                await asyncio.sleep(0.5)


async def bodies(client: ApiClient, kind: Kind) -> list[Object]:
    """Return all objects of a kind in our namespaces."""
    scope = Scope(kind, None, "" if kind is MODEL else MODEL_UID_LABEL)
    return [b for b in await _listed(client, scope) if b["metadata"]["namespace"] in NAMESPACES]


async def some(client: ApiClient, kind: Kind, count: int) -> list[Object]:
    """Return a few objects of a kind."""
    return (await bodies(client, kind))[:count]


async def uids(client: ApiClient, kind: Kind) -> set[str]:
    """Return the uids of all objects of a kind."""
    return {body["metadata"]["uid"] for body in await bodies(client, kind)}


async def delete(client: ApiClient, kind: Kind, body: Object) -> None:
    """Delete an object."""
    meta = body["metadata"]
    with contextlib.suppress(NotFound):
        await client.delete(kind, meta.get("namespace", ""), meta["name"], meta["uid"])


async def returned(client: ApiClient, kind: Kind, body: Object) -> None:
    """Wait until another object bears the name of a deleted one."""
    meta = body["metadata"]
    async with asyncio.timeout(60):
        while True:
            try:
                found = await client.get(kind, meta["namespace"], meta["name"])
            except NotFound:
                found = body
            if found["metadata"]["uid"] != meta["uid"]:
                return
            await asyncio.sleep(0.02)


async def job_exists(client: ApiClient, model: str) -> None:
    """Wait until a model has a Job."""
    async with asyncio.timeout(60):
        while True:
            async for page in client.list(Scope(JOB, NAMESPACES[0], MODEL_UID_LABEL)):
                if any(body["metadata"]["name"].startswith(model) for body in page["items"]):
                    return
            await asyncio.sleep(0.02)


async def _wait_for(
    client: ApiClient, kind: Kind, holds: Callable[[Object], bool], count: int
) -> None:
    """Wait until a condition holds of so many objects."""
    seen: set[str] = set()
    version = ""
    scope = Scope(kind)
    async for page in client.list(scope):
        version = page["metadata"]["resourceVersion"]
        seen |= {body["metadata"]["uid"] for body in page["items"] if holds(body)}
    async for event in client.watch(scope, version):
        if event["type"] == "MODIFIED" and holds(event["object"]):
            seen.add(event["object"]["metadata"]["uid"])
        if len(seen) >= count:
            return


def _is_ready(body: Object) -> bool:
    return _has_condition(body, "Ready")


def _is_complete(body: Object) -> bool:
    return _has_condition(body, "Complete")


def _is_available(body: Object) -> bool:
    return bool(body.get("status", {}).get("availableReplicas"))


def _has_condition(body: Object, kind: str) -> bool:
    conditions = body.get("status", {}).get("conditions", ())
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def _manifest(kind: Kind, body: Object) -> Object:
    """Return an object without what the API server and the operator added to it."""
    meta = {k: v for k, v in body["metadata"].items() if k not in _WRITTEN_BY_SERVER}
    meta.pop("ownerReferences", None)
    meta.pop("finalizers", None)
    spec = dict(body["spec"])
    if kind is JOB:
        spec.pop("selector", None)
        labels = spec["template"]["metadata"]["labels"]
        for name in [name for name in labels if "controller-uid" in name or "job-name" in name]:
            del labels[name]
    if kind is SERVICE:
        for name in ("clusterIP", "clusterIPs"):
            spec.pop(name, None)
    if kind is CLAIM:
        spec.pop("volumeName", None)
        meta["annotations"] = {
            k: v for k, v in meta["annotations"].items() if not k.startswith("pv.kubernetes.io")
        }
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, "spec": spec}


def _volume(index: int) -> Object:
    """Return a volume that a pretended pod can be said to mount."""
    name = f"{STORAGE_CLASS}-{index}"
    return {
        "metadata": {"name": name, "labels": {STORAGE_CLASS: ""}},
        "spec": {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": STORAGE_CLASS,
            "hostPath": {"path": f"/nowhere/{name}"},
            "persistentVolumeReclaimPolicy": "Retain",
        },
    }


async def _in_parallel(work: Callable[[Any], Awaitable[object]], items: Iterable[Any]) -> None:
    """Do the work on all items, so many at once."""
    slots = asyncio.Semaphore(POSTERS)

    async def one(item: Any) -> None:
        async with slots:
            await work(item)

    await asyncio.gather(*(one(item) for item in items))
