"""A model's children in memory: they appear when they are wished for, and wait to be acted on."""

from dataclasses import replace
from datetime import UTC, datetime

from qmodel.planner.observed import (
    JobState,
    ObservedClaim,
    ObservedDeployment,
    ObservedJob,
    ObservedService,
    Refusal,
)
from qmodel.planner.wishes import Remove, WantClaim, WantDeployment, WantJob, WantService, Wish

KINDS: dict[type, str] = {
    WantJob: "Job",
    WantDeployment: "Deployment",
    WantService: "Service",
    WantClaim: "PersistentVolumeClaim",
}


class Children:
    """What exists, and the wish that each was last written for."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.jobs: dict[str, ObservedJob] = {}
        self.job_wishes: dict[str, WantJob] = {}
        self.deployments: dict[str, ObservedDeployment] = {}
        self.deployment_wishes: dict[str, WantDeployment] = {}
        self.service: ObservedService | None = None
        self.is_routing_late = False
        """Whether the Service keeps on sending requests to where it did, or to nowhere."""
        self.claim: ObservedClaim | None = None
        self.claim_wish: WantClaim | None = None
        self.refused: dict[str, str] = {}
        """Kinds of new children that the API server refuses, and its reason."""
        self.started: list[str] = []
        """Every Job that was created, as step and attempt."""
        self._uids = 0

    def new_uid(self) -> str:
        """Return a uid that nothing else has."""
        self._uids += 1
        return f"uid-{self._uids}"

    def refuse(self, wish: Wish) -> list[Refusal]:
        """Return why the API server does not do what is wished."""
        kind = "" if isinstance(wish, Remove) else KINDS[type(wish)]
        exists = wish.name in {*self.jobs, *self.deployments} or self.stands(wish)
        if kind not in self.refused or exists:
            return []
        return [Refusal(kind, wish.name, self.refused[kind], f"no {kind} is allowed here")]

    def fulfil(self, wish: Wish) -> bool:
        """Do what is wished; return whether anything had to be written."""
        if self.stands(wish):
            return False
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
                self.claim = ObservedClaim(
                    wish.name, uid, size_bytes=wish.size_bytes, capacity_bytes=wish.size_bytes
                )
                self.claim_wish = wish
            case Remove():
                self._remove(wish)
        return True

    def route(self) -> bool:
        """Let the Service find its servers; return whether that changed anything."""
        if self.service is None or self.is_routing_late:
            return False
        servers = [d for d in self.deployments.values() if d.revision == self.service.revision]
        answers = any(d.ready_replicas for d in servers)
        changed = answers != self.service.answers
        self.service = replace(self.service, answers=answers)
        return changed

    def stands(self, wish: Wish) -> bool:
        """Whether nothing is left to do for a wish."""
        match wish:
            case WantJob():
                return wish.name in self.jobs
            case WantDeployment():
                known = wish.name in self.deployments
                return known and self.deployment_wishes.get(wish.name) == wish
            case WantService():
                return self.service is not None and self.service.revision == wish.revision
            case WantClaim():
                return self.claim is not None and self.claim_wish == wish
            case Remove():
                return False

    def _create_job(self, want: WantJob) -> None:
        self.jobs[want.name] = ObservedJob(
            name=want.name,
            uid=self.new_uid(),
            step=want.step,
            key=want.key,
            attempt=want.attempt,
            state=JobState.ACTIVE,
            created=self.now,
            images=tuple(container.image for container in want.containers),
            timeout_seconds=want.timeout_seconds,
            result_key=want.result_key,
            evaluation_key=want.evaluation_key,
            pod_key=want.pod_key,
        )
        self.job_wishes[want.name] = want
        self.started.append(f"{want.step} {want.attempt}")

    def _apply_deployment(self, want: WantDeployment) -> None:
        known = self.deployments.get(want.name)
        if known is None:
            self.deployments[want.name] = ObservedDeployment(
                want.name, self.new_uid(), want.rollout.revision, 0, 0, available=False
            )
        else:
            self.deployments[want.name] = replace(known, available=False)
        self.deployment_wishes[want.name] = want

    def _remove(self, wish: Remove) -> None:
        found = self.jobs if wish.kind == "Job" else self.deployments
        child = found.get(wish.name)
        if child is not None and child.uid == wish.uid:
            del found[wish.name]
