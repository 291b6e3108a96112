"""Where models come from: hub, claims, bucket and registry; safetensors and GGUF files."""

from collections.abc import Iterator

import pytest

from e2e.models import ANSWER, SMOLLM2_GGUF, TINY, Models, attempts, from_claim, from_hub, spec
from e2e.stores import WRONG_KEYS, Stores
from e2e.volumes import make_claim, seed
from model.repositories import SAMPLE_GGUF
from model.source import GGUF_NAME
from qmodel.naming import STEP_LABEL

PICKED = "smollm2-1.7b-instruct-q8_0.gguf"


@pytest.fixture(scope="module")
def applied(models: Models, references: dict[str, str]) -> Iterator[None]:
    """Apply one model of each kind of source at once."""
    folders = {"gguf": SMOLLM2_GGUF, "deep/tiny": TINY}
    make_claim(models, "sources", "1Gi")
    seed(models, references["test-hub"], "sources", folders)
    stores = Stores(models, references["test-stores"])
    specs = {
        "only-gguf-of-the-hub": spec(from_hub(SMOLLM2_GGUF), None),
        "one-gguf-of-the-hub": spec(from_hub(SAMPLE_GGUF, file=PICKED), None),
        "gguf-folder-of-a-claim": spec(from_claim("sources", "gguf"), None),
        "gguf-file-of-a-claim": spec(from_claim("sources", f"gguf/{GGUF_NAME}"), None),
        "safetensors-of-a-claim": spec(from_claim("sources", "deep/tiny"), "Q4_0"),
        "shards-of-the-hub": spec(from_hub("test/sharded"), "Q4_0"),
        "safetensors-of-a-bucket": spec(stores.bucket(), "Q4_0"),
        "safetensors-of-an-artifact": spec(stores.artifact(), "Q4_0"),
        "chosen-by-patterns": spec(from_hub(SAMPLE_GGUF, exclude=["*-q4_k_m.gguf"]), None),
        "wrong-keys": spec(stores.bucket(secret=WRONG_KEYS)),
        "no-such-prefix": spec(stores.bucket(prefix="team/nothing")),
        "no-such-tag": spec(stores.artifact(tag="v9")),
        "no-pull-secret": spec(stores.artifact(secret=None)),
        "no-such-folder": spec(from_claim("sources", "deep/nothing")),
    }
    for name, each in specs.items():
        models.apply(name, each)
    yield
    for name in specs:
        models.delete(name)


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    "name",
    [
        "only-gguf-of-the-hub",
        "one-gguf-of-the-hub",
        "gguf-folder-of-a-claim",
        "gguf-file-of-a-claim",
        "chosen-by-patterns",
    ],
)
def test_a_gguf_is_served_as_it_is(models: Models, name: str) -> None:
    status = models.wait_ready(name)
    assert ANSWER in models.chat(name)
    assert status["source"]["format"] == "gguf"
    assert status["evaluation"]["applicable"] is False
    assert "perplexity" not in status["evaluation"]
    assert attempts(models.jobs(name)) == [
        ("fetch", 1),
        ("inspect", 1),
        ("measure", 1),
        ("quantize", 1),
    ]
    make_room(models, name)


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    "name",
    [
        "safetensors-of-a-claim",
        "shards-of-the-hub",
        "safetensors-of-a-bucket",
        "safetensors-of-an-artifact",
    ],
)
def test_safetensors_are_quantized(models: Models, name: str) -> None:
    status = models.wait_ready(name)
    assert status["source"]["format"] == "safetensors"
    assert status["artifact"]["weightBytes"] < 0.5 * status["source"]["weightBytes"]
    assert status["evaluation"]["tokens"] > 0
    assert models.chat(name) is not None
    make_room(models, name)


def make_room(models: Models, name: str) -> None:
    """End a model's server: all of them at once ask for more CPU than two cores have."""
    models.edit(name, serving={"replicas": 0})


@pytest.mark.usefixtures("applied")
def test_only_the_asked_file_is_fetched(models: Models) -> None:
    status = models.wait_ready("one-gguf-of-the-hub")
    assert status["fetched"]["files"] == 1


@pytest.mark.usefixtures("applied")
def test_an_artifact_is_pinned_to_its_digest(models: Models) -> None:
    status = models.wait_ready("safetensors-of-an-artifact")
    assert status["source"]["sourceRevision"].startswith("sha256:")


@pytest.mark.usefixtures("applied")
def test_only_inspect_and_fetch_see_the_keys(models: Models) -> None:
    models.wait_ready("safetensors-of-a-bucket")
    seen = {
        job["metadata"]["labels"][STEP_LABEL]
        for job in models.jobs("safetensors-of-a-bucket")
        if any("secret" in v for v in job["spec"]["template"]["spec"].get("volumes", ()))
    }
    assert seen == {"inspect", "fetch"}


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("wrong-keys", "AccessDenied", "spec.source.s3.credentialsSecretRef"),
        ("no-such-prefix", "SourceNotFound", "spec.source.s3.uri"),
        ("no-such-tag", "SourceNotFound", "spec.source.oci.reference"),
        ("no-pull-secret", "AccessDenied", "spec.source.oci.pullSecretRef"),
    ],
)
def test_what_a_bucket_or_registry_refuses_is_named(
    models: Models, name: str, reason: str, words: str
) -> None:
    assert words in models.refused(name, "Inspected", reason)
    assert models.claims(name) == []


@pytest.mark.usefixtures("applied")
def test_a_path_that_is_not_there_is_named(models: Models) -> None:
    message = models.refused("no-such-folder", "Inspected", "SourceNotFound")
    assert "deep/nothing" in message
    assert models.claims("no-such-folder") == []
