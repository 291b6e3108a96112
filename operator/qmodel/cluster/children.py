"""Makes the cluster match the wishes of a plan, trusting no cache with a write.

What is believed absent is created, which fails if it exists after all; what is known is applied to
with the uid that was observed, so that an object that was deleted and made anew by someone else is
not overwritten; what goes is deleted by its uid. An object of our name that belongs to another is
refused, never adopted. A Job is only ever created: its template cannot change, and a new attempt
has a new name.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from qmodel.api.resource import QuantizedModel
from qmodel.cluster import entries, ownership
from qmodel.cluster.client import ApiClient
from qmodel.cluster.drift import has_drifted, lacks
from qmodel.cluster.entries import Entry
from qmodel.cluster.errors import (
    AlreadyExists,
    BeingDeleted,
    Conflict,
    NameTaken,
    NotFound,
    Refused,
)
from qmodel.cluster.kinds import CLAIM, DEPLOYMENT, JOB, SERVICE, WRITTEN, Kind
from qmodel.cluster.parse import Object
from qmodel.cluster.store import Store
from qmodel.naming import DESIRED_ANNOTATION, VERSION_ANNOTATION
from qmodel.planner.observed import Refusal
from qmodel.planner.wishes import Remove, WantClaim, WantDeployment, WantJob, WantService, Wish
from qmodel.settings import OPERATOR_VERSION

Build = Callable[[QuantizedModel, Any, str], Object]
"""`qmodel.resources.build.build`: from a wish and this operator's version to a manifest."""


class Children:
    """Writes the objects that models own.

    Parameters
    ----------
    client
        Talks to the API server.
    store
        Says what exists, and learns at once what was written.
    build
        Turns a wish into a manifest.
    """

    def __init__(self, client: ApiClient, store: Store, build: Build) -> None:
        self._client = client
        self._store = store
        self._build = build

    async def fulfil(self, model: QuantizedModel, wish: Wish) -> bool:
        """Do what a wish asks for, if it is not so already.

        Returns
        -------
        bool
            Whether there is now more to know than the plan assumed. A Job that is started is not:
            the plan that wants it says already what it works on.

        Raises
        ------
        qmodel.cluster.errors.Refused
            If the API server, or the owner of an object with that name, will not have it.
        qmodel.cluster.errors.Unavailable
            If it may succeed later.
        """
        if isinstance(wish, Remove):
            await self._remove(model, wish)
            return True
        manifest = self._build(model, wish, OPERATOR_VERSION)
        kind = WRITTEN[manifest["kind"]]
        known = self._store.child(model, kind, wish.name)
        if known is not None and known.deleting:
            raise _being_deleted(kind, wish.name)
        if known is None:
            existed = await self._create(model, kind, manifest)
            return existed or kind is not JOB
        if kind is JOB:
            return False
        if _needs_apply(known, manifest):
            return await self._apply(known, manifest)
        return await self._repair(known, manifest)

    async def _create(self, model: QuantizedModel, kind: Kind, manifest: Object) -> bool:
        """Create an object; if one of that name exists, take it in if it is ours.

        Returns
        -------
        bool
            Whether it existed, or its pod was heard of before our request was answered: that woke
            nobody, since nobody knew whose it is.
        """
        try:
            made = await self._client.create(kind, model.namespace, manifest)
            self._store.put(kind, made)
        except AlreadyExists as error:
            name = manifest["metadata"]["name"]
            found = await self._client.get(kind, model.namespace, name)
            known = entries.read(kind, found)
            if known is None or entries.owner(kind, found) != model.uid:
                raise _not_ours(kind, name, found) from error
            self._store.put(kind, found)
            if known.deleting:
                raise _being_deleted(kind, name) from error
            if kind is not JOB:
                await self._apply(known, manifest)
            return True
        return kind is JOB and self._store.has_pod(model.namespace, made["metadata"]["uid"])

    async def _apply(self, known: Entry, manifest: Object) -> bool:
        """Apply our fields to the very object that was observed; return whether that changed it.

        An admission webhook may change what we apply, always to the same. The object then differs
        from what is wanted for ever, and to plan again on the answer would never end.
        """
        body = {**manifest, "metadata": {**manifest["metadata"], "uid": known.uid}}
        if known.held_by_creation:
            await self._hand_over(known)
        try:
            answer = await self._client.apply(known.kind, known.namespace, known.name, body)
        except (Conflict, NotFound):
            self._store.forget(known.uid)
            raise
        self._store.put(known.kind, answer)
        return int(answer["metadata"]["resourceVersion"]) != known.version

    async def _repair(self, known: Entry, manifest: Object) -> bool:
        """Set right what someone changed and no server restarts for; return whether that did it.

        To apply would also bring what this version builds otherwise, such as a pod template, and
        to apply these fields alone would take the others away. By the patch we hold them as if we
        had created them so, and hand that over before the next apply.
        """
        found, wanted = known.spec or {}, manifest["spec"]
        change = [
            {"op": "add", "path": f"/spec/{field}", "value": wanted[field]}
            for field in _RESTARTS_NOTHING.get(known.kind.name, ())
            if lacks(wanted[field], found.get(field))
        ]
        if not change:
            return False
        version = str(known.version)
        change += [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}]
        answer = await self._client.patch(known.kind, known.namespace, known.name, change)
        self._store.put(known.kind, answer)
        return int(answer["metadata"]["resourceVersion"]) != known.version

    async def _hand_over(self, known: Entry) -> None:
        """Let our applies alone hold what an object was created with, so that they can remove it.

        Only now, and by a read of its own: most children are never applied to. An object that
        changes between read and write is the one that is known still, and is tried again.
        """
        found = await self._client.get(known.kind, known.namespace, known.name)
        if ownership.is_held_by_creation(found["metadata"]):
            change = ownership.handing_over(found["metadata"])
            await self._client.patch(known.kind, known.namespace, known.name, change)

    async def _remove(self, model: QuantizedModel, wish: Remove) -> None:
        """Delete the very object that was observed; if it is gone already, so be it."""
        with contextlib.suppress(Conflict, NotFound):
            await self._client.delete(WRITTEN[wish.kind], model.namespace, wish.name, wish.uid)
        self._store.forget(wish.uid)


def refusal(wish: Wish, error: Refused) -> Refusal:
    """Return what the planner is told of a wish that was refused: the API server's own words."""
    kind = wish.kind if isinstance(wish, Remove) else _KINDS[type(wish)].name
    return Refusal(kind=kind, name=wish.name, reason=error.reason, message=error.message)


_KINDS: dict[type, Kind] = {
    WantJob: JOB,
    WantClaim: CLAIM,
    WantDeployment: DEPLOYMENT,
    WantService: SERVICE,
}


_RESTARTS_NOTHING = {DEPLOYMENT.name: ("replicas",), SERVICE.name: ("selector", "ports")}
"""Fields of a spec that are as wanted whichever version wrote them: the servers of every version
have these labels and this port, and changing the fields restarts none."""


def _needs_apply(known: Entry, manifest: Object) -> bool:
    """Whether an object was written for another wish, or someone changed what we wrote.

    A volume that has an owner and shall have none would be deleted with it, whoever wrote it last.
    Another version of the operator may build another object from the same wish; that alone is no
    reason to touch a healthy server, so drift is only sought in what this version wrote, but for
    `_RESTARTS_NOTHING`.
    """
    annotations = manifest["metadata"]["annotations"]
    if known.desired_hash != annotations[DESIRED_ANNOTATION]:
        return True
    if known.owned != ("ownerReferences" in manifest["metadata"]):
        return True
    is_from_this_version = known.operator_version == annotations[VERSION_ANNOTATION]
    return is_from_this_version and has_drifted(manifest["spec"], known.spec)


def _being_deleted(kind: Kind, name: str) -> BeingDeleted:
    """Say why a child cannot be had yet."""
    message = f"{kind.name} {name} is being deleted; it is made anew once nothing uses it"
    return BeingDeleted(f"update {kind.plural}/{name}", 409, BeingDeleted.__name__, message)


def _not_ours(kind: Kind, name: str, found: Object) -> BeingDeleted | NameTaken:
    """Say whose object bears the name that we need, and what to do about it.

    One that goes is waited for: a model that is made anew finds what its servers still hold.
    """
    if "deletionTimestamp" in found["metadata"]:
        return _being_deleted(kind, name)
    if entries.is_retained(kind, found):
        message = (
            f"{kind.name} {name} was kept when an earlier model of this name was deleted; "
            f"set spec.storage.existingClaim to {name} to use what it holds, or delete it"
        )
    else:
        message = (
            f"{kind.name} {name} exists and belongs to {entries.owner_in_words(found)}; "
            "delete or rename it, or give this model another name"
        )
    return NameTaken(f"create {kind.plural}/{name}", 409, NameTaken.__name__, message)
