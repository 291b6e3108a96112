"""How much memory the steps take for a model that is larger than they may hold."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmodel.sizing.steps import FETCH_BYTES, INSPECT_BYTES
from qmodel.worker.report import Report
from stores.registry import registry
from stores.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, s3_server
from unit.worker.sparse_models import LLAMA, write_model, write_safetensors

SHARDS = 4
ROWS = 600_000
"""Of 64 numbers each: 77 MB a shard."""
STEP = """
import sys
from pathlib import Path
from qmodel.worker.__main__ import main
main(sys.argv[1:-1])
Path(sys.argv[-1]).write_text(Path("/proc/self/status").read_text())
"""
"""Runs a step and writes what the kernel knows of it. `getrusage` would count the tests' own
memory, which a child has until it is another program."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_model(tmp_path_factory.mktemp("large"), LLAMA | {"vocab_size": ROWS})
    (folder / "model.safetensors").unlink()
    shapes = {"model.embed_tokens.weight": [ROWS, 64], "lm_head.weight": [ROWS, 64]}
    shapes |= {f"model.layers.{n}.mlp.up_proj.weight": [ROWS, 64] for n in range(SHARDS - 2)}
    for n, (name, shape) in enumerate(shapes.items(), 1):
        write_safetensors(folder / f"model-{n:05d}-of-{SHARDS:05d}.safetensors", {name: shape})
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[dict[str, object]]:
    folder = tmp_path_factory.mktemp("servers")
    keys = folder / "keys"
    keys.mkdir()
    (keys / "accessKeyId").write_text(ACCESS_KEY_ID)
    (keys / "secretAccessKey").write_text(SECRET_ACCESS_KEY)
    with s3_server(folder / "s3") as bucket, registry(folder / "registry") as artifacts:
        bucket.make_bucket("models")
        bucket.put_folder("models", "large", model)
        artifacts.push_folder("large", "v1", model)
        place = {"uri": "s3://models/large", "endpoint": bucket.url, "region": REGION}
        reference = f"{artifacts.host}/large:v1"
        yield {
            "S3": {**place, "kind": "S3", "credentials": str(keys), "allowInsecure": True},
            "OCI": {
                "kind": "OCI", "reference": reference, "insecure": True, "allowInsecure": True,
            },
        }  # fmt: skip


def run(task: dict[str, object], folder: Path) -> tuple[Report, int]:
    """Run a step as its container does; return its report and its peak in bytes."""
    log, status = folder / "termination-log", folder / "status"
    words = ["--task", json.dumps(task), "--termination-log", str(log), str(status)]
    subprocess.run([sys.executable, "-c", STEP, *words], check=True, stdout=subprocess.DEVNULL)
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return Report.model_validate_json(log.read_text()), int(peak.split()[1]) * 1024


@pytest.mark.parametrize("kind", ["S3", "OCI"])
def test_memory_is_bounded_whatever_the_model_is(
    kind: str, sources: dict[str, object], tmp_path: Path
) -> None:
    looked, peak = run({"step": "inspect", "source": sources[kind], "method": "GGUF"}, tmp_path)
    assert looked.inspection is not None, looked.failure
    size = looked.inspection.source_bytes
    print(f"inspect {peak / 2**20:.0f} MiB")
    assert peak < min(size, INSPECT_BYTES) / 2
    revision = looked.inspection.source_revision
    task = {"step": "fetch", "source": sources[kind], "sourceRevision": revision}
    brought, peak = run({**task, "directory": str(tmp_path / "s")}, tmp_path)
    assert brought.fetched is not None, brought.failure
    print(f"fetch {peak / 2**20:.0f} MiB")
    assert brought.fetched.bytes == size
    assert peak < min(size, FETCH_BYTES) / 2
