"""Leader election by a Lease, for installations with more than one replica.

Not the official client's: its election ends with the process at the first lost connection (only
API errors are caught), compares wall clocks of several machines, and leaves the lease held on exit,
so that each upgrade would wait for it to expire. This one follows client-go: whether a lease has
expired is judged by how long it has not changed before our own eyes.
"""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime

from qmodel.cluster.client import ApiClient
from qmodel.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound
from qmodel.cluster.kinds import LEASE
from qmodel.cluster.parse import Object
from qmodel.naming import MANAGER

LEASE_SECONDS = 15
"""A leader that did not renew for so long has lost."""

RENEW_SECONDS = 10
"""A leader that cannot renew for so long gives up, before another may take over."""

RETRY_SECONDS = 2

logger = logging.getLogger(__name__)


class Leadership:
    """One candidate.

    Parameters
    ----------
    client
        Talks to the API server.
    namespace
        Where the Lease lies: that of the operator's own pod.
    identity
        Unique among the candidates, such as the pod's name.
    """

    def __init__(self, client: ApiClient, namespace: str, identity: str) -> None:
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._seen: tuple[str, float] = ("", 0.0)
        """The lease's version, and the loop time at which it was first seen."""

    async def acquire(self) -> None:
        """Wait until this candidate leads."""
        logger.info("Waiting for the lease %s/%s", self._namespace, MANAGER)
        while True:
            if await self._try():
                break
            await asyncio.sleep(RETRY_SECONDS)
        logger.info("Leading as %s", self._identity)

    async def hold(self) -> None:
        """Renew the lease; return once it is lost.

        A request that hangs ends with the time for renewing, and a lease counts from when its
        renewal was sent: another may take over before our own request would time out.
        """
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout_at(renewed + RENEW_SECONDS):
                    await asyncio.sleep(RETRY_SECONDS)
                    sent = loop.time()
                    if await self._try():
                        renewed = sent
        logger.error("Lost the lease %s/%s", self._namespace, MANAGER)

    async def release(self) -> None:
        """Let another candidate lead at once."""
        try:
            lease = await self._client.get(LEASE, self._namespace, MANAGER)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] = self._spec(lease["spec"]) | {"holderIdentity": ""}
                await self._client.replace(LEASE, self._namespace, MANAGER, lease)
        except ApiError as error:
            logger.warning("The lease was not released and will expire: %s", error)

    async def _try(self) -> bool:
        """Take or renew the lease if it is ours, free or expired."""
        try:
            lease = await self._client.get(LEASE, self._namespace, MANAGER)
            if not self._may_take(lease):
                return False
            lease["spec"] = self._spec(lease["spec"])
            await self._client.replace(LEASE, self._namespace, MANAGER, lease)
        except NotFound:
            return await self._create()
        except Conflict:  # another candidate was faster
            return False
        except ApiError as error:
            logger.warning("Lease: %s", error)
            return False
        return True

    async def _create(self) -> bool:
        """Make the lease, held by us."""
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {"name": MANAGER, "namespace": self._namespace},
            "spec": self._spec({}),
        }
        try:
            await self._client.create(LEASE, self._namespace, body)
        except AlreadyExists:
            return False
        except ApiError as error:
            logger.warning("Lease: %s", error)
            return False
        return True

    def _may_take(self, lease: Object) -> bool:
        """Whether the lease is ours, free, or has not changed for as long as it lasts."""
        now = asyncio.get_running_loop().time()
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, now)
        holder = lease["spec"].get("holderIdentity", "")
        lasts = lease["spec"].get("leaseDurationSeconds", LEASE_SECONDS)
        return holder in ("", self._identity) or now - self._seen[1] > lasts

    def _spec(self, before: Object) -> Object:
        """Return the lease as this candidate holds it from now on."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        is_new = before.get("holderIdentity") != self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
            "acquireTime": now if is_new else before.get("acquireTime", now),
            "leaseTransitions": before.get("leaseTransitions", 0) + is_new,
        }
