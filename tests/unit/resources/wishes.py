"""One model, and every wish that it can have; `python -m unit.resources.wishes` rewrites the data.

The objects that follow are read by people in `data/`, so that a change to them is seen in review.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from qmodel.api.affinity import Affinity, PodAffinity
from qmodel.api.gguf import GGUFOptions, GGUFType
from qmodel.api.methods import AWQOptions, Backend, Method
from qmodel.api.placement import Toleration
from qmodel.api.quantization import Quantization
from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import (
    AcceleratorType,
    AccessMode,
    DType,
    Engine,
    EnvVar,
    LocalObjectReference,
    PodTemplate,
)
from qmodel.api.source import HuggingFaceSource, Source
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import AcceleratorStatus, QuantizedModelStatus, Rollout, Sizing
from qmodel.api.texts import ConfigMapKeyRef, TextSource, VolumeFileRef
from qmodel.engines import ServerSettings
from qmodel.engines.llamacpp import LlamaCpp
from qmodel.planner.containers import Container, Step
from qmodel.planner.installation import ConfigMapFile
from qmodel.planner.wishes import (
    Accelerators,
    SecretFiles,
    SourceAccess,
    WantClaim,
    WantContainer,
    WantDeployment,
    WantJob,
    WantService,
)
from qmodel.resources.build import build
from qmodel.resources.metadata import Child
from qmodel.worker.task import (
    CA_BUNDLE_FILE,
    CALIBRATION_FILE,
    TOKEN_FILE,
    CalibrationTask,
    EvaluateTask,
    FetchTask,
    FolderSource,
    HubSource,
    InspectTask,
    MeasureTask,
    QuantizeTask,
    Recipe,
)

DATA = Path(__file__).parent / "data"
VERSION = "0.1.0"
MIB = 2**20
REVISION = "0a1b2c3d4e"
DIGEST = "fedcba9876543210"

MODEL = QuantizedModel(
    name="smollm2",
    namespace="team-a",
    uid="11111111-2222-3333-4444-555555555555",
    generation=1,
    spec=QuantizedModelSpec(
        source=Source(hugging_face=HuggingFaceSource(repository="example/smollm2")),
        quantization=Quantization(method=Method.GGUF),
    ),
    status=QuantizedModelStatus(),
)

HUB = HubSource(
    endpoint="https://huggingface.co",
    repository="example/smollm2",
    revision="main",
    token_file=TOKEN_FILE,
)
INSPECT = WantJob(
    name="smollm2-inspect-0a1b2c3d-1",
    step=Step.INSPECT,
    key="0a1b2c3d",
    attempt=1,
    revision="",
    containers=(
        WantContainer(
            Container.INSPECT,
            "qmodel/operator:0.1.0",
            InspectTask(source=HUB, method=Method.GGUF),
            256 * MIB,
            "100m",
        ),
    ),
    timeout_seconds=600,
    source=SourceAccess(
        credentials=SecretFiles("hub", {"token": "token"}),
        ca_bundle=ConfigMapFile("trust", "bundle.pem"),
        env={"HTTPS_PROXY": "http://proxy:3128", "SSL_CERT_FILE": CA_BUNDLE_FILE},
    ),
)
FETCH = WantJob(
    name="smollm2-fetch-0a1b2c3d-2",
    step=Step.FETCH,
    key="0a1b2c3d",
    attempt=2,
    revision="",
    containers=(
        WantContainer(
            Container.FETCH,
            "qmodel/operator:0.1.0",
            FetchTask(
                source=FolderSource(path="/source/models/smollm2"),
                source_revision=DIGEST,
                directory=f"/artifacts/sources/{DIGEST}",
            ),
            512 * MIB,
            "500m",
        ),
    ),
    timeout_seconds=86_400,
    claim_name="smollm2-volume",
    source=SourceAccess(claim="models"),
)
QUANTIZE = WantJob(
    name="smollm2-quantize-0a1b2c3d-1",
    step=Step.QUANTIZE,
    key="0a1b2c3d",
    attempt=1,
    revision=REVISION,
    containers=(
        WantContainer(
            Container.QUANTIZE,
            "qmodel/llamacpp-worker:0.1.0",
            QuantizeTask(
                source_directory=f"/artifacts/sources/{DIGEST}",
                directory=f"/artifacts/{REVISION}",
                revision=REVISION,
                recipe=Recipe(
                    method=Method.GGUF,
                    backend=Backend.LLAMA_CPP,
                    gguf=GGUFOptions(type=GGUFType.Q4_K_M, importance_matrix=True),
                    calibration=CalibrationTask(file=CALIBRATION_FILE),
                ),
                source_repository="example/smollm2",
                source_revision="c" * 40,
                keep_revisions=[REVISION],
                threads=2,
            ),
            1024 * MIB,
            "1",
        ),
        WantContainer(
            Container.EVALUATE,
            "qmodel/llamacpp-worker:0.1.0",
            EvaluateTask(
                source_directory=f"/artifacts/sources/{DIGEST}",
                directory=f"/artifacts/{REVISION}",
                text_file="/text/evaluation/text",
                threads=2,
            ),
            1024 * MIB,
            "1",
        ),
    ),
    timeout_seconds=86_400,
    claim_name="smollm2-volume",
    calibration=TextSource(config_map_ref=ConfigMapKeyRef(name="texts", key="calibration.txt")),
    evaluation=TextSource(
        persistent_volume_claim=VolumeFileRef(claim_name="texts", path="judged/on.txt")
    ),
    node_selector={"pool": "models"},
    tolerations=(Toleration(key="models", operator="Exists", effect="NoSchedule"),),
)
QUANTIZE_ON_GPUS = replace(
    QUANTIZE,
    containers=(
        WantContainer(
            Container.QUANTIZE,
            "qmodel/quantizer:0.1.0",
            QuantizeTask(
                source_directory=f"/artifacts/sources/{DIGEST}",
                directory=f"/artifacts/{REVISION}",
                revision=REVISION,
                recipe=Recipe(
                    method=Method.AWQ,
                    backend=Backend.LLM_COMPRESSOR,
                    awq=AWQOptions(),
                    ignore=["lm_head"],
                    calibration=CalibrationTask(),
                ),
                source_repository="example/smollm2",
                source_revision="c" * 40,
                threads=2,
            ),
            8192 * MIB,
            "1",
        ),
    ),
    calibration=None,
    evaluation=None,
    accelerators=Accelerators("nvidia.com/gpu", 2),
    shared_memory_bytes=1536 * MIB,
)
MEASURE_ON_GPU = WantJob(
    name="smollm2-measure-0a1b2c3d-1",
    step=Step.MEASURE,
    key="0a1b2c3d",
    attempt=1,
    revision=REVISION,
    containers=(
        WantContainer(
            Container.MEASURE,
            "qmodel/llamacpp:0.1.0",
            MeasureTask(
                engine=Engine.LLAMA_CPP,
                directory=f"/artifacts/{REVISION}",
                argv=["llama-server", "--model", f"/artifacts/{REVISION}/model.gguf"],
                port=8080,
                context_length=4096,
                concurrency=1,
            ),
            768 * MIB,
            "1",
        ),
    ),
    timeout_seconds=7200,
    claim_name="smollm2-volume",
    accelerators=Accelerators("nvidia.com/gpu", 1),
    env=(EnvVar(name="OMP_WAIT_POLICY", value="passive"),),
)
CPU = AcceleratorStatus(key="k", type=AcceleratorType.CPU, reason="asked")
ROLLOUT = Rollout(
    revision=REVISION,
    image="qmodel/llamacpp:0.1.0",
    claim_name="smollm2-volume",
    sizing=Sizing(
        context_length=4096,
        concurrency=2,
        predicted_peak_bytes=400 * MIB,
        memory_bytes=444 * MIB,
        kv_bytes=180 * MIB,
        cpu="1",
    ),
    engine=Engine.LLAMA_CPP,
    argv=LlamaCpp().server_argv(
        ServerSettings(
            model_path=f"/artifacts/{REVISION}/model.gguf",
            alias="smollm2",
            context_length=4096,
            concurrency=2,
            kv_bytes=180 * MIB,
            kv_type=None,
            dtype=DType.AUTO,
            gpus=0,
            tensor_parallel_size=1,
            threads=2,
        )
    ),
    accelerator=CPU,
    startup_seconds=121,
)
GPU = AcceleratorStatus(
    key="k", type=AcceleratorType.GPU, resource_name="nvidia.com/gpu", count=2, reason="asked"
)
GPU_ROLLOUT = ROLLOUT.model_copy(
    update={
        "accelerator": GPU,
        "sizing": ROLLOUT.sizing.model_copy(update={"gpu_layers": 999}),
        "argv": [*ROLLOUT.argv, "--temp", "0.2"],
        "env": [EnvVar(name="OMP_WAIT_POLICY", value="passive")],
        "pod_template": PodTemplate(
            labels={"team": "a", "app.kubernetes.io/component": "mine"},
            annotations={"note": "kept"},
            node_selector={"nvidia.com/gpu.present": "true"},
            tolerations=[Toleration(key="nvidia.com/gpu", operator="Exists")],
            affinity=Affinity(pod_anti_affinity=PodAffinity()),
            priority_class_name="high",
            runtime_class_name="nvidia",
            image_pull_secrets=[LocalObjectReference(name="registry")],
        ),
    }
)

WISHES: dict[str, Child] = {
    "inspect-job": INSPECT,
    "fetch-job": FETCH,
    "quantize-job": QUANTIZE,
    "quantize-job-on-gpus": QUANTIZE_ON_GPUS,
    "measure-job-on-gpu": MEASURE_ON_GPU,
    "deployment": WantDeployment("smollm2-0a1b2c3d4e", ROLLOUT, 1),
    "deployment-on-gpu": WantDeployment("smollm2-0a1b2c3d4e", GPU_ROLLOUT, 3),
    "service": WantService("smollm2", REVISION),
    "claim": WantClaim("smollm2-volume", 1500 * MIB, None, AccessMode.READ_WRITE_ONCE, owned=True),
    "claim-retained": WantClaim(
        "smollm2-volume", 2048 * MIB, "fast", AccessMode.READ_WRITE_MANY, owned=False
    ),
}


class _Dumper(yaml.SafeDumper):
    """Writes repeated parts out, for the reader."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  the base's signature
        return True


def built(name: str) -> dict[str, Any]:
    """Return the object of one wish."""
    return build(MODEL, WISHES[name], VERSION)


def rewrite() -> None:
    """Write what is built now; review the difference."""
    for name in WISHES:
        text = yaml.dump(built(name), Dumper=_Dumper, sort_keys=False, width=100)
        (DATA / f"{name}.yaml").write_text(text)


if __name__ == "__main__":
    rewrite()
