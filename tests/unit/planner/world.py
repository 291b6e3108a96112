"""A cluster in memory around one model, with a stepped clock.

It is as quiet as the real one: a pass is made when something observed changed by other hands, when
the spec was edited, when a plan asked for it, when a child was refused and the status changed
since, or after a restart of the operator. What the operator writes itself wakes nobody, but is
planned on in the same pass, with the status as it was before.
"""

from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from qmodel.api.conditions import ConditionType
from qmodel.api.quantities import bytes_of, quantity_mib
from qmodel.api.resource import QuantizedModel
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus
from qmodel.planner.observed import (
    ContainerResult,
    JobState,
    Node,
    Observed,
    ObservedJob,
    ObservedPod,
    Refusal,
)
from qmodel.planner.plan import plan
from qmodel.planner.wishes import Announcement, Plan, WantContainer, WantJob, Wish
from qmodel.worker.report import Report
from unit.planner import invariants
from unit.planner.children import Children
from unit.planner.values import INSTALLATION, success

MAX_ROUNDS = 4
"""Plans of one pass, as in `qmodel.cluster.reconciler`."""
MOST_PASSES = 12
"""Passes without a change from outside: more mean that plans chase each other."""

LATER = timedelta(seconds=4)
"""Time by itself changes nothing, unless a plan asked to be woken."""


class World(Children):
    """One model and all that is observed around it."""

    def __init__(self, model: QuantizedModel, nodes: tuple[Node, ...] = ()) -> None:
        super().__init__()
        self.model = model
        self.nodes = nodes
        self.installation = INSTALLATION
        self.statuses: list[QuantizedModelStatus] = []
        """Every status that was written."""
        self.announcements: list[Announcement] = []
        self.wishes: list[int] = []
        """How many wishes each plan had."""
        self.crash_at: tuple[int, int] | None = None
        """Lose the operator in this plan, after so many wishes, before it writes the status."""
        self.unavailable_at: tuple[int, int] | None = None
        """Lose the API server for the children of this plan, after so many wishes."""
        self._refusals: tuple[Refusal, ...] = ()
        self._awake = True
        self._due: datetime | None = None

    def fork(self) -> Self:
        """Return a world that goes its own way from here."""
        twin = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict | list):
                setattr(twin, name, value.copy())
        return twin

    @property
    def plans(self) -> int:
        """How often it was planned."""
        return len(self.wishes)

    @property
    def status(self) -> QuantizedModelStatus:
        """What was written last."""
        return self.model.status

    def says(self, kind: ConditionType) -> str:
        """Return status and reason of a condition."""
        found = self.status.condition(kind)
        return "" if found is None else f"{found.status} {found.reason}"

    def message(self, kind: ConditionType) -> str:
        """Return the message of a condition."""
        found = self.status.condition(kind)
        return "" if found is None else found.message

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

    def settle(self) -> None:
        """Make passes until nothing is left to do now, then prove that it is a fixed point."""
        for _ in range(MOST_PASSES):
            self._awake |= self.route()
            if not self._awake and (self._due is None or self._due > self.now):
                self._prove_fixed_point()
                return
            self._pass()
        message = f"no rest after {MOST_PASSES} passes: {self.status.to_wire()}"
        raise AssertionError(message)

    def _plan(self, now: datetime) -> Plan:
        found = plan(self.model, self.observed(), now)
        invariants.check(self, found)
        return found

    def _pass(self) -> None:
        """Plan and write children until nothing is left to write, then the status."""
        self._awake, self._due = False, None
        for _ in range(MAX_ROUNDS):
            refusals, found = self._refusals, self._plan(self.now)
            self.wishes.append(len(found.wishes))
            wrote = self._fulfil_all(found.wishes)
            if self.crash_at is not None and self.crash_at[0] == self.plans:
                self._awake = True
                return
            if wrote is None or not (wrote or refusals != self._refusals):
                break
        self._awake = wrote is not False or (bool(self._refusals) and found.status != self.status)
        if found.status != self.status:
            self._write(found)
        if found.requeue_after is not None:
            self._due = self.now + found.requeue_after

    def _write(self, found: Plan) -> None:
        stored = QuantizedModelStatus.model_validate(found.status.to_wire())
        self.model = self.model.model_copy(update={"status": stored})
        self.statuses.append(stored)
        self.announcements.extend(found.announcements)

    def _fulfil_all(self, wishes: tuple[Wish, ...]) -> bool | None:
        """Do the wishes; return whether any was left to do, None if not all could be tried."""
        refusals: list[Refusal] = []
        wrote = False
        for number, wish in enumerate(wishes):
            if (self.plans, number) in {self.crash_at, self.unavailable_at}:
                return None
            refused = self.refuse(wish)
            refusals += refused
            if not refused:
                wrote |= self.fulfil(wish)
        self._refusals = tuple(refusals)
        return wrote

    def _prove_fixed_point(self) -> None:
        """Assert that planning again, and later, changes neither status nor children."""
        later = self.now + LATER
        again = self._plan(later if self._due is None or self._due > later else self.now)
        assert again.status.to_wire() == self.status.to_wire()
        assert not again.announcements
        refused = {r.name for r in self._refusals}
        left = [w for w in again.wishes if w.name not in refused and not self.stands(w)]
        assert not left, f"left to do, but nobody would come: {left}"

    # What others do.

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

    def edit(self, **members: Any) -> None:
        """Replace members of spec, as users write them."""
        spec = QuantizedModelSpec.model_validate(self.model.spec.to_wire() | members)
        generation = self.model.generation + 1
        self.model = self.model.model_copy(update={"spec": spec, "generation": generation})
        self.wake()

    def active(self, step: str) -> ObservedJob:
        """Return the running Job of a step."""
        found = [j for j in self.jobs.values() if j.step == step and j.state is JobState.ACTIVE]
        assert len(found) == 1, f"{len(found)} running Jobs of {step}: {list(self.jobs)}"
        return found[0]

    def wish(self, step: str) -> WantJob:
        """Return what the running Job of a step was made for."""
        return self.job_wishes[self.active(step).name]

    def complete(self, step: str, **blocks: Any) -> None:
        """Complete a step's Job; blocks replace those of its containers' reports."""
        results = [
            ContainerResult(c.name, 0, "Completed", _report(c, blocks))
            for c in self.wish(step).containers
        ]
        self.end(step, JobState.COMPLETE, *results)

    def fail(self, step: str, reason: str = "Error", report: Report | None = None) -> None:
        """Fail a step's Job with its last container, by the kubelet's word and a report."""
        name = self.wish(step).containers[-1].name
        code = 137 if reason == "OOMKilled" else 1
        self.end(step, JobState.FAILED, ContainerResult(name, code, reason, report))

    def end(self, step: str, state: JobState, *results: ContainerResult, **pod: str) -> None:
        """End a step's Job with its pod."""
        job = self.active(step)
        ended = replace(self.pod(job.name), results=results, **pod)
        self.jobs[job.name] = replace(job, state=state, finished=self.now, pod=ended)
        self.wake()

    def change(self, step: str, **changes: Any) -> None:
        """Change what is observed of a step's running Job."""
        job = self.active(step)
        self.jobs[job.name] = replace(job, **changes)
        self.wake()

    def pod(self, owner: str) -> ObservedPod:
        """Return a pod that was created now."""
        return ObservedPod(f"{owner}-pod", self.new_uid(), "Running", self.now)

    def server(self, *results: ContainerResult, **why: Any) -> ObservedPod:
        """Return a server's pod that was created now, as the newest Deployment makes it."""
        *_, want = self.deployment_wishes.values()
        limit = bytes_of(quantity_mib(want.rollout.sizing.memory_bytes))
        return replace(self.pod("server"), results=results, server_memory_bytes=limit, **why)

    def delete_job(self, step: str) -> None:
        """Delete the only Job of a step, as a person would to have it tried again."""
        (name,) = [j.name for j in self.jobs.values() if j.step == step]
        del self.jobs[name]
        self.wake()

    def serve(self, revision: str | None = None) -> None:
        """Let the servers of a revision (by default of all) answer."""
        for name, found in self.deployments.items():
            count = self.deployment_wishes[name].replicas
            if revision in {None, found.revision}:
                self.deployments[name] = replace(
                    found, available=True, replicas=count, ready_replicas=count, pods=()
                )
        self.wake()

    def servers(self, *pods: ObservedPod) -> None:
        """Let the only Deployment have these pods, none of which answers."""
        ((name, found),) = self.deployments.items()
        self.deployments[name] = replace(
            found, available=False, replicas=len(pods), ready_replicas=0, pods=pods
        )
        self.wake()

    def run(self) -> None:
        """Let everything succeed until nothing is left to be done."""
        self.settle()
        while True:
            running = [j for j in self.jobs.values() if j.state is JobState.ACTIVE]
            starting = [d for d in self.deployments.values() if not d.available]
            if not running and not starting:
                return
            self.advance(7)
            if running:
                self.complete(running[0].step)
            else:
                self.serve()


def _report(container: WantContainer, blocks: dict[str, Any]) -> Report:
    """Return the container's report, with those of its blocks replaced."""
    found = success(container)
    own = {name: block for name, block in blocks.items() if getattr(found, name) is not None}
    return found.model_copy(update=own)
