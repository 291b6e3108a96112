"""The kopf shell: it logs in, watches the QuantizedModels, and starts and stops the machinery.

kopf is used as its author advises for high-grade operators: only `on.event`, which writes nothing
on the resource (no finalizer, no annotation, no patch), and no decision in a handler. What is
watched beside the models, and why not by kopf, is told in `qmodel.cluster.informer`.
"""

from typing import Any

import kopf

from qmodel.api.base import GROUP, PLURAL, VERSION
from qmodel.cluster.client import ApiClient, session
from qmodel.cluster.credentials import Credentials, load
from qmodel.cluster.machinery import Machinery
from qmodel.planner.plan import plan
from qmodel.resources.build import build
from qmodel.settings import Settings

registry = kopf.OperatorRegistry()


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-seen state: `on.event` needs none, and copying each body costs half its CPU."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


@kopf.on.login(registry=registry)
async def log_in(memo: Any, **_: Any) -> kopf.AiohttpSession:
    """Let kopf ask as we do, with a session of its own: kopf closes it when a login fails."""
    credentials: Credentials = memo.credentials
    noticed = session(credentials, memo.machinery.model_watch.notice)
    return kopf.AiohttpSession(server=credentials.server, aiohttp_session=noticed)


@kopf.on.startup(registry=registry)
async def start(memo: Any, **_: Any) -> None:
    """Learn what exists before the first event comes."""
    await memo.machinery.start()


@kopf.on.cleanup(registry=registry)
async def stop(memo: Any, **_: Any) -> None:
    """Leave nothing running."""
    await memo.machinery.stop()


@kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
async def model_changed(event: kopf.RawEvent, memo: Any, **_: Any) -> None:
    """Tell the store; it knows whether anyone has to look."""
    memo.machinery.model_changed(event["type"], event["object"])


def kopf_settings() -> kopf.OperatorSettings:
    """Return kopf's settings, each with its reason."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # Events are announced on transitions, by the reconciler
    settings.scanning.disabled = True  # no RBAC on namespaces and CustomResourceDefinitions
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = kopf.StatusProgressStorage()  # the cheapest to skip
    settings.watching.chunk_size = 500  # objects of one page of the LIST
    settings.queueing.idle_timeout = 0.5  # a task a model is kept no longer than a burst of events
    settings.queueing.exit_timeout = 0.5  # nothing is lost by leaving: all is observed again
    settings.process.ultimate_exiting_timeout = 10
    return settings


async def operate(settings: Settings) -> bool:
    """Run the operator until it is told to stop.

    Returns
    -------
    bool
        Whether it ended because it was told to, not because a part failed or leadership was lost.
    """
    credentials = await load()
    client = ApiClient(credentials)
    machinery = Machinery(client, settings, plan, build)
    try:
        await kopf.operator(
            registry=registry,
            settings=kopf_settings(),
            memo=kopf.Memo(machinery=machinery, credentials=credentials),
            # Left out, kopf asks for the user's name, which a container's uid need not have.
            identity=settings.identity,  # type: ignore[arg-type]  # kopf keeps the type to itself
            standalone=True,  # leadership is ours to decide, not kopf's peering's
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=machinery.stopping,
        )
    finally:
        await client.close()
    return not machinery.failed
