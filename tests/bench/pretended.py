"""What pods on kwok nodes report: the Stage that ends a Job's pod with its steps' reports."""

import json
from typing import Any

from qmodel.worker.report import Artifact, Evaluation, Fetched, Footprint, Inspection, Report
from qmodel.worker.task import KVLayout

MEBIBYTE = 2**20

REPORTS = (
    Report(
        step="inspect",
        inspection=Inspection(
            source_revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
            source_digest="5d1f0c7a9be24c31",
            source_bytes=269 * MEBIBYTE,
            format="safetensors",
            architecture="LlamaForCausalLM",
            parameters=134_515_008,
            weight_bytes=269_030_016,
            hidden_size=576,
            layers=30,
            vocabulary_size=49_152,
            context_length=8192,
            kv=KVLayout(full_layers=30, kv_heads=3, key_head_dim=64, value_head_dim=64),
            chat_template=True,
        ),
    ),
    Report(step="fetch", fetched=Fetched(bytes=269 * MEBIBYTE, files=7)),
    Report(
        step="quantize",
        artifact=Artifact(
            model_path="model.gguf",
            files=3,
            bytes=101 * MEBIBYTE,
            weight_bytes=100 * MEBIBYTE,
            digest="a" * 64,
            seconds=20.5,
            peak_bytes=700 * MEBIBYTE,
        ),
    ),
    Report(
        step="evaluate",
        evaluation=Evaluation(
            base_perplexity=17.1,
            perplexity=17.4,
            perplexity_ratio=1.017,
            perplexity_ratio_error=0.003,
            mean_kl_divergence=0.021,
            mean_kl_divergence_error=0.001,
            top_token_agreement=0.94,
            top_token_agreement_error=0.004,
            tokens=4000,
            text="BuiltIn",
            text_digest="b" * 16,
            seconds=31.0,
            peak_bytes=900 * MEBIBYTE,
        ),
    ),
    Report(
        step="measure",
        footprint=Footprint(
            context_length=4096,
            concurrency=1,
            weights_bytes=100 * MEBIBYTE,
            kv_bytes=90 * MEBIBYTE,
            compute_bytes=97 * MEBIBYTE,
            other_bytes=30 * MEBIBYTE,
            peak_bytes=320 * MEBIBYTE,
            kv_bytes_per_token=23_040,
            load_seconds=0.4,
            first_token_seconds=0.05,
            prompt_tokens_per_second=900.0,
            tokens_per_second=120.0,
            engine_version="b0000",
            seconds=25.0,
        ),
    ),
)

_TEMPLATE = """\
{{ $now := Now }}
phase: Succeeded
initContainerStatuses:
{{ range .spec.initContainers }}
BLOCK
{{ end }}
containerStatuses:
{{ range .spec.containers }}
BLOCK
{{ end }}
"""
_BLOCK = """\
- image: {{ .image | Quote }}
  imageID: ""
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  started: false
  state:
    terminated:
      exitCode: 0
      finishedAt: {{ $now | Quote }}
      startedAt: {{ $now | Quote }}
      reason: Completed
MESSAGES
"""
_MESSAGE = """\
      {{ if eq .name "STEP" }}
      message: {{ `REPORT` | Quote }}
      {{ end }}"""


def stage() -> str:
    """Return the Stage as JSON, which is YAML."""
    block = _BLOCK.replace("MESSAGES", "\n".join(map(_message, REPORTS)))
    stage: dict[str, Any] = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "pod-complete"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {
                "matchExpressions": [
                    {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
                    {"key": ".status.phase", "operator": "In", "values": ["Running"]},
                    {
                        "key": ".metadata.ownerReferences.[].kind",
                        "operator": "In",
                        "values": ["Job"],
                    },
                ]
            },
            "next": {"statusTemplate": _TEMPLATE.replace("BLOCK", block)},
        },
    }
    return json.dumps(stage)


def _message(report: Report) -> str:
    """Return the lines that give one step's container its report."""
    text = json.dumps(report.to_wire(), separators=(",", ":"))
    return _MESSAGE.replace("STEP", report.step).replace("REPORT", text)
