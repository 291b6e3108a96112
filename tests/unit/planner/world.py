"""A cluster in memory around one model: a stepped clock, children that appear when asked for.

It is as quiet as the real one: a pass is made when something observed changed by other hands, when
the spec was edited, when a plan asked for it, or after a restart of the operator; what the operator
writes itself wakes nobody.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from qmodel.api.resource import QuantizedModel
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus
from qmodel.planner.model import (
    Announcement,
    ContainerResult,
    Installation,
    JobState,
    Node,
    Observed,
    ObservedClaim,
    ObservedDeployment,
    ObservedJob,
    ObservedPod,
    ObservedService,
    Plan,
    Refusal,
    Remove,
    WantClaim,
    WantDeployment,
    WantJob,
    WantService,
    Wish,
)
from qmodel.planner.plan import plan
from qmodel.worker.report import Report
from unit.planner import invariants
from unit.planner.values import INSTALLATION, success

MOST_PASSES = 12
"""Passes without a change from outside: more mean that plans chase each other."""

Outcome = Callable[[Any], Report | None]


class World:
    """One model and all that is observed around it."""

    def __init__(self, model: QuantizedModel, installation: Installation = INSTALLATION) -> None:
        self.model = model
        self.installation = installation
        self.nodes: tuple[Node, ...] = ()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.jobs: dict[str, ObservedJob] = {}
        self.wanted: dict[str, WantJob] = {}
        self.deployments: dict[str, ObservedDeployment] = {}
        self.rollouts: dict[str, WantDeployment] = {}
        self.service: ObservedService | None = None
        self.claim: ObservedClaim | None = None
        self.claim_wish: WantClaim | None = None
        self.refused: dict[str, str] = {}
        """Kinds of children that the API server refuses, and its reason."""
        self._refusals: tuple[Refusal, ...] = ()
        self.started: list[str] = []
        """Every Job that was created, as step and attempt."""
        self.statuses: list[QuantizedModelStatus] = []
        """Every status that was written."""
        self.announcements: list[Announcement] = []
        self.passes = 0
        self.crash_after: tuple[int, int] | None = None
        """Lose the operator in this pass, after so many wishes, before it writes the status."""
        self.unavailable_after: tuple[int, int] | None = None
        """Lose the API server for the children of this pass, after so many wishes."""
        self._uids = 0
        self._awake = True
        self._due: datetime | None = None

    # What the operator does.

    def observed(self) -> Observed:
        """Return the world as the store would."""
        return Observed(
            installation=self.installation,
            jobs=tuple(sorted(self.jobs.values(), key=lambda job: job.name)),
            deployments=tuple(sorted(self.deployments.values(), key=lambda d: d.name)),
            service=self.service,
            claim=self.claim,
            nodes=self.nodes,
            refusals=self._refusals,
        )

    def plan(self) -> Plan:
        """Plan on what is observed now."""
        return plan(self.model, self.observed(), self.now)

    def settle(self) -> None:
        """Make passes until nothing is left to do now, then prove that it is a fixed point."""
        for _ in range(MOST_PASSES):
            if not self._awake and (self._due is None or self._due > self.now):
                self._prove_fixed_point()
                return
            self._pass()
        message = f"no rest after {MOST_PASSES} passes: {self.model.status.to_wire()}"
        raise AssertionError(message)

    def _pass(self) -> None:
        """Plan once, do what is wished, write the status: the reconciler's order."""
        self._awake, self._due = False, None
        self.passes += 1
        found = self.plan()
        invariants.check(self, found)
        done = self._fulfil(found.wishes)
        if done is None:
            self._awake = True
            return
        if found.status != self.model.status:
            self._write(found)
        if not done:
            self._awake = True
        elif found.requeue_after is not None:
            self._due = self.now + found.requeue_after

    def _write(self, found: Plan) -> None:
        wire = found.status.to_wire()
        stored = QuantizedModelStatus.model_validate(wire)
        assert stored == found.status, "a status must be read back as it was written"
        self.model = self.model.model_copy(update={"status": stored})
        self.statuses.append(stored)
        self.announcements.extend(found.announcements)

    def _fulfil(self, wishes: tuple[Wish, ...]) -> bool | None:
        """Do the wishes; None if the operator died, False if the API server went away."""
        refusals: list[Refusal] = []
        for number, wish in enumerate(wishes):
            if self.crash_after == (self.passes, number):
                return None
            if self.unavailable_after == (self.passes, number):
                return False
            refused = self._refuse(wish)
            refusals += refused
            if not refused:
                self._apply(wish)
        if self.crash_after == (self.passes, len(wishes)):
            return None
        if tuple(refusals) != self._refusals:
            self._refusals = tuple(refusals)
            self._awake = True
        return True

    def _refuse(self, wish: Wish) -> list[Refusal]:
        kind = _kind(wish)
        if kind not in self.refused or isinstance(wish, Remove) or self._exists(wish):
            return []
        reason = self.refused[kind]
        return [Refusal(kind, wish.name, reason, f"{kind.lower()}s are forbidden here")]

    def _exists(self, wish: Wish) -> bool:
        return wish.name in self.jobs or wish.name in self.deployments

    def _apply(self, wish: Wish) -> None:
        match wish:
            case WantJob():
                self._create_job(wish)
            case WantDeployment():
                self._apply_deployment(wish)
            case WantService():
                uid = self.service.uid if self.service else self.new_uid()
                self.service = ObservedService(wish.name, uid, wish.revision)
            case WantClaim():
                uid = self.claim.uid if self.claim else self.new_uid()
                self.claim = ObservedClaim(wish.name, uid, wish.size_bytes, "Pending")
                self.claim_wish = wish
            case Remove():
                self._remove(wish)

    def _create_job(self, want: WantJob) -> None:
        if want.name in self.jobs:
            return
        self.jobs[want.name] = ObservedJob(
            name=want.name,
            uid=self.new_uid(),
            step=want.step,
            key=want.key,
            attempt=want.attempt,
            state=JobState.ACTIVE,
            created=self.now,
        )
        self.wanted[want.name] = want
        self.started.append(f"{want.step} {want.attempt}")

    def _apply_deployment(self, want: WantDeployment) -> None:
        known = self.deployments.get(want.name)
        if known is None:
            self.deployments[want.name] = ObservedDeployment(
                want.name, self.new_uid(), want.rollout.revision, 0, 0, available=False
            )
        elif self.rollouts[want.name] != want:
            self.deployments[want.name] = replace(known, available=False)
        self.rollouts[want.name] = want

    def _remove(self, wish: Remove) -> None:
        found = self.jobs if wish.kind == "Job" else self.deployments
        child = found.get(wish.name)
        if child is not None and child.uid == wish.uid:
            del found[wish.name]
            self._awake = True

    def _prove_fixed_point(self) -> None:
        """Assert that planning again changes neither status nor children."""
        again = self.plan()
        assert again.status == self.model.status
        assert not again.announcements
        for wish in again.wishes:
            refused = wish.name in {r.name for r in self._refusals}
            assert refused or self._stands(wish), f"left to do, but nobody would come: {wish}"

    def _stands(self, wish: Wish) -> bool:
        match wish:
            case WantJob():
                return wish.name in self.jobs
            case WantDeployment():
                return self.rollouts.get(wish.name) == wish
            case WantService():
                return self.service is not None and self.service.revision == wish.revision
            case WantClaim():
                return self.claim_wish == wish
            case Remove():
                return False

    # What others do.

    def new_uid(self) -> str:
        """Return a uid that nothing else has."""
        self._uids += 1
        return f"uid-{self._uids}"

    def wake(self) -> None:
        """Something observed has changed, or the operator was restarted."""
        self._awake = True
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time go by, stopping wherever a plan asked to be woken."""
        end = self.now + timedelta(seconds=seconds)
        while self._due is not None and self._due <= end:
            self.now = self._due
            self.settle()
        self.now = end

    def edit(self, **changes: Any) -> None:
        """Replace members of spec, as users write them."""
        wire = self.model.spec.to_wire() | changes
        spec = QuantizedModelSpec.model_validate(wire)
        generation = self.model.generation + 1
        self.model = self.model.model_copy(update={"spec": spec, "generation": generation})
        self.wake()

    def active(self, step: str) -> ObservedJob:
        """Return the running Job of a step."""
        found = [j for j in self.jobs.values() if j.step == step and j.state is JobState.ACTIVE]
        assert len(found) == 1, f"{len(found)} running Jobs of {step}"
        return found[0]

    def complete(self, step: str, **changes: Any) -> None:
        """Complete a step's Job; changes replace blocks of its containers' reports."""
        job = self.active(step)
        results = [
            ContainerResult(
                c.name, 0, "Completed", success(c).model_copy(update=_blocks(c, changes))
            )
            for c in self.wanted[job.name].containers
        ]
        self.end(step, JobState.COMPLETE, *results)

    def fail(self, step: str, reason: str = "Error", report: Report | None = None) -> None:
        """Fail a step's Job with its first container, by the kubelet's word and a report."""
        name = self.wanted[self.active(step).name].containers[0].name
        code = 137 if reason == "OOMKilled" else 1
        self.end(step, JobState.FAILED, ContainerResult(name, code, reason, report))

    def end(
        self,
        step: str,
        state: JobState,
        *results: ContainerResult,
        pod: dict[str, str] | None = None,
    ) -> None:
        """End a step's Job."""
        job = self.active(step)
        ended = replace(self.pod(job.name), results=results, phase="Ended", **(pod or {}))
        self.jobs[job.name] = replace(job, state=state, finished=self.now, pod=ended)
        self.wake()

    def change(self, step: str, **changes: Any) -> None:
        """Change what is observed of a step's running Job."""
        job = self.active(step)
        self.jobs[job.name] = replace(job, **changes)
        self.wake()

    def pod(self, owner: str, **changes: Any) -> ObservedPod:
        """Return a pod that was created now."""
        made = ObservedPod(f"{owner}-pod", self.new_uid(), "Running", self.now)
        return replace(made, **changes)

    def delete_job(self, step: str) -> None:
        """Delete the only Job of a step, as a person would to have it tried again."""
        (name,) = [j.name for j in self.jobs.values() if j.step == step]
        del self.jobs[name]
        self.wake()

    def serve(self, revision: str | None = None) -> None:
        """Let the servers of a revision (by default of all) answer."""
        for name, found in self.deployments.items():
            if revision in {None, found.revision}:
                wanted = self.rollouts[name].replicas
                self.deployments[name] = replace(
                    found, available=True, replicas=wanted, ready_replicas=wanted, pods=()
                )
        self.wake()

    def run(self) -> None:
        """Let everything succeed until nothing is left to be done."""
        self.settle()
        for _ in range(8):
            running = [j for j in self.jobs.values() if j.state is JobState.ACTIVE]
            starting = [d for d in self.deployments.values() if not d.available]
            if not running and not starting:
                return
            self.now += timedelta(seconds=7)
            if running:
                self.complete(running[0].step)
            else:
                self.serve()
        message = f"never done: {self.model.status.to_wire()}"
        raise AssertionError(message)


def _blocks(container: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the replaced blocks of the container's report."""
    own = success(container).model_dump(exclude_none=True)
    return {name: value for name, value in changes.items() if name in own}


def _kind(wish: Wish) -> str:
    names = {
        WantJob: "Job",
        WantDeployment: "Deployment",
        WantService: "Service",
        WantClaim: "PersistentVolumeClaim",
    }
    return wish.kind if isinstance(wish, Remove) else names[type(wish)]
