"""Sources that cannot be served: each is told why, costs nothing, and disturbs nobody."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cluster.commands import wait_until
from e2e.hub import HubControl
from e2e.kube import Object
from e2e.memory import wait_running
from e2e.models import (
    CORE,
    PAUSE_SECONDS,
    SMOLLM2_GGUF,
    TINY,
    VERDICT_SECONDS,
    Models,
    attempts,
    condition,
    from_hub,
    spec,
    step_status,
)
from model.repositories import READER, SAMPLE_GGUF, STRANGER
from model.source import GGUF_NAME

GATED = "test/gated"
TOKEN_FIELD = "spec.source.huggingFace.tokenSecretRef"  # noqa: S105  a field
TOKENS = {"reader": READER, "stranger": STRANGER, "unknown": "hf_nobody_knows_it"}
BYSTANDER = "bystander"
GOOD_NEWS = {"Inspected", "Fetched", "Evaluated", "Measured", "Ready"}
DOWN = "test/sharded"
PIECE_BYTES = 8 * 2**20
"""Of every answer; ranges of headers are shorter, the file has a dozen."""
LIMITED_PATH = "/api/models/test/tiny/revision/v1"
INTERRUPTED_AFTER = 40_000_000
"""Bytes of every answer; headers are shorter, the file is longer."""


@dataclass(frozen=True)
class Bad:
    """A source, the reason that its condition gives, and what the message names."""

    source: Object
    reason: str
    words: tuple[str, ...]
    kind: str | None = "Q8_0"
    serving: Any = None

    def spec(self) -> Object:
        return spec(self.source, self.kind, serving=self.serving or {})


def gated(secret: str | None) -> Object:
    """Return the gated repository with a token from that Secret."""
    return from_hub(GATED, **({"tokenSecretRef": {"name": secret}} if secret else {}))


BAD = {
    "no-repository": Bad(
        from_hub("test/no-such"),
        "RepositoryNotFound",
        ("test/no-such", "spec.source.huggingFace.repository"),
    ),
    "no-revision": Bad(
        from_hub(TINY, revision="v9"),
        "RevisionNotFound",
        (TINY, "v9", "spec.source.huggingFace.revision"),
    ),
    "no-file": Bad(
        from_hub(SAMPLE_GGUF, file="absent.gguf"),
        "SourceNotFound",
        ("absent.gguf", "spec.source.huggingFace.file"),
        kind=None,
    ),
    "several-files": Bad(
        from_hub(SAMPLE_GGUF),
        "UnsupportedModel",
        ("spec.source.huggingFace.file", "smollm2-1.7b-instruct-q4_k_m.gguf"),
        kind=None,
    ),
    "gguf-to-quantize": Bad(
        from_hub(SMOLLM2_GGUF), "UnsupportedModel", (GGUF_NAME, "method None", "safetensors")
    ),
    "quantized-to-quantize": Bad(
        from_hub("test/awq"), "UnsupportedModel", ("AWQ, 4 bits", "method None")
    ),
    "gated-without-token": Bad(gated(None), "AccessDenied", (GATED, TOKEN_FIELD)),
    "gated-unknown-token": Bad(gated("unknown"), "AccessDenied", (GATED, TOKEN_FIELD)),
    "gated-strange-token": Bad(gated("stranger"), "AccessDenied", (GATED, TOKEN_FIELD)),
    "unsupported": Bad(
        from_hub("test/unsupported-architecture"),
        "UnsupportedModel",
        ("NoSuchForCausalLM", "LlamaForCausalLM"),
    ),
    "pickle-only": Bad(
        from_hub("test/pickle-only"), "UnsafeModel", ("pytorch_model.bin", "safetensors")
    ),
    "remote-code": Bad(
        from_hub("test/remote-code"), "UnsafeModel", ("config.json", "auto_map", "modeling_custom")
    ),
    "truncated": Bad(
        from_hub("test/truncated"), "SourceInvalid", ("model.safetensors", "truncated")
    ),
    "contradiction": Bad(
        from_hub("test/contradiction"), "SourceInvalid", ("hidden_size 512", "embed_tokens", "256")
    ),
    "climbing-index": Bad(
        from_hub("test/climbing-index"),
        "SourceInvalid",
        ("model.safetensors.index.json", "../../../etc/passwd"),
    ),
    "absurd-config": Bad(
        from_hub("test/absurd-config"), "SourceInvalid", ("config.json", "1000000000")
    ),
    "long-context": Bad(
        from_hub(TINY),
        "ContextTooLong",
        ("spec.serving.contextLength is 4096", "2048"),
        serving={"contextLength": 4096},
    ),
}


@pytest.fixture(scope="module")
def applied(models: Models, hub: HubControl) -> Iterator[None]:
    """Apply a good model, then every bad one at once."""
    for name, token in TOKENS.items():
        secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": token}}
        models.kube.apply(models.path(CORE, "secrets", name), secret)
    hub.clear()
    hub.add("status", LIMITED_PATH, status=429, retry_after=3, times=2)
    hub.add("interrupt", f"_cdn/{SMOLLM2_GGUF}", after_bytes=INTERRUPTED_AFTER)
    models.apply(BYSTANDER, spec({"huggingFace": {"repository": TINY}}))
    for name, bad in BAD.items():
        models.apply(name, bad.spec())
    _apply_recovering(models)
    yield
    for name in (BYSTANDER, *BAD):
        models.delete(name)


def _apply_recovering(models: Models) -> None:
    sources = {
        "hub-busy": {"repository": TINY, "revision": "v1"},
        "gated-right-token": {"repository": GATED, "tokenSecretRef": {"name": "reader"}},
        "damaged-on-the-way": {"repository": "test/bad-checksum"},
    }
    for name, source in sources.items():
        models.apply(name, spec({"huggingFace": source}))
    models.apply("interrupted", spec({"huggingFace": {"repository": SMOLLM2_GGUF}}, None))


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_source_is_told_why_and_costs_nothing(models: Models, name: str) -> None:
    bad = BAD[name]
    message = models.refused(name, "Inspected", bad.reason)
    for word in bad.words:
        assert word in message
    ready = condition(models.get(name), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", bad.reason)
    assert models.get(name)["status"]["stage"] == "Failed"
    assert models.claims(name) == []
    assert models.deployments(name) == []
    assert attempts(models.jobs(name)) == [("inspect", 1)]


@pytest.fixture(scope="module")
def looked_at_again(models: Models, applied: None) -> None:
    """Wait until every bad model is refused, and have the operator look at each once more."""
    del applied  # they are
    for name, bad in BAD.items():
        models.refused(name, "Inspected", bad.reason)
    models.look_again(*BAD)


@pytest.mark.usefixtures("looked_at_again")
@pytest.mark.parametrize("name", BAD)
def test_the_refusal_is_one_warning_event(models: Models, name: str) -> None:
    bad = BAD[name]
    assert models.told(name, {bad.reason}) == [bad.reason]
    warnings = [event for event in models.events(name) if event["type"] == "Warning"]
    assert bad.reason in {event["reason"] for event in warnings}


@pytest.mark.usefixtures("applied")
def test_a_hub_that_limits_the_rate_is_waited_for(models: Models, hub: HubControl) -> None:
    models.wait_for("hub-busy", "Inspected", "True")
    statuses = [request["status"] for request in hub.requests(LIMITED_PATH)]
    assert statuses[:3] == [429, 429, 200]
    models.delete("hub-busy")


@pytest.mark.usefixtures("applied")
def test_the_right_token_opens_a_gated_repository(models: Models) -> None:
    models.wait_for("gated-right-token", "Fetched", "True")
    for step in ("inspect", "fetch", "quantize"):
        pods = models.pods("gated-right-token", step)
        mounted = [v for pod in pods for v in pod["spec"]["volumes"] if v["name"] == "credentials"]
        assert bool(mounted) == (step != "quantize")
    models.delete("gated-right-token")


def test_a_secret_that_comes_after_the_model_is_waited_for(models: Models) -> None:
    name = "gated-secret-later"
    models.apply(name, spec(gated("later")))
    assert TOKEN_FIELD in models.troubled(name, "Inspected", "SecretMissing")
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": READER}}
    models.kube.apply(models.path(CORE, "secrets", "later"), secret)
    model = models.wait_for(name, "Inspected", "True", seconds=120)
    assert step_status(model["status"], "inspect")["lastReason"] == "SecretMissing"
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_a_wrong_checksum_is_refused_and_nothing_is_made_of_it(models: Models) -> None:
    name = "damaged-on-the-way"
    message = models.refused(name, "Fetched", "ChecksumMismatch")
    assert "model.safetensors" in message
    assert "sha256" in message
    assert attempts(models.jobs(name)) == [("fetch", 1), ("inspect", 1)]
    assert models.deployments(name) == []
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_an_interrupted_body_is_continued(models: Models, hub: HubControl) -> None:
    status = models.wait_for("interrupted", "Fetched", "True")["status"]
    sent = [request["sent_bytes"] for request in hub.requests(f"_cdn/{SMOLLM2_GGUF}")]
    assert sent.count(INTERRUPTED_AFTER) == status["fetched"]["bytes"] // INTERRUPTED_AFTER
    assert sum(sent) < status["fetched"]["bytes"] + INTERRUPTED_AFTER // 2
    assert step_status(status, "fetch")["attempts"] == 1
    models.delete("interrupted")


def test_a_hub_that_is_down_is_waited_for(models: Models, hub: HubControl) -> None:
    name = "hub-down"
    hub.add("status", f"/{DOWN}", status=503)
    models.apply(name, spec({"huggingFace": {"repository": DOWN}}))
    message = models.troubled(name, "Inspected", "HubUnavailable")
    assert DOWN in message
    assert "503" in message
    hub.clear()
    model = models.wait_for(name, "Inspected", "True", seconds=120)
    record = step_status(model["status"], "inspect")
    assert record["attempts"] > 1
    assert record["lastReason"] == "HubUnavailable"
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_a_good_model_beside_them_is_not_disturbed(models: Models) -> None:
    status = models.wait_ready(BYSTANDER)
    models.look_again(BYSTANDER)
    assert {step["attempts"] for step in status["steps"]} == {1}
    assert models.told(BYSTANDER, GOOD_NEWS) == sorted(GOOD_NEWS)


def test_a_hub_that_is_gone_during_a_fetch_is_waited_for(models: Models, hub: HubControl) -> None:
    """It is gone for all: the last test here, when nobody else asks."""
    name, path = "hub-gone", f"_cdn/{SMOLLM2_GGUF}"
    hub.clear()
    hub.add("interrupt", path, after_bytes=PIECE_BYTES)
    models.apply(name, spec(from_hub(SMOLLM2_GGUF), None))
    wait_until(
        "a piece was fetched",
        lambda: any(request["sent_bytes"] == PIECE_BYTES for request in hub.requests(path)),
        VERDICT_SECONDS,
    )
    with hub.unreachable():
        log = f"{models.path(CORE, 'pods', wait_running(models, name, 'fetch', 'fetch', 10))}/log"
        wait_until(
            "two tries were refused",
            lambda: str(models.kube.call("GET", log)).count("Connection refused") > 1,
            40,
            PAUSE_SECONDS,
        )
    hub.clear()
    status = models.wait_for(name, "Fetched", "True", seconds=60)["status"]
    sent = sum(request["sent_bytes"] for request in hub.requests(path))
    assert 0 < sent <= status["fetched"]["bytes"] - PIECE_BYTES + 2**20, "a chunk may be lost"
    assert step_status(status, "fetch")["attempts"] == 1
    models.delete(name)
