"""Hashes that tell whether what status holds still speaks of what spec asks."""

import json
from typing import Any

from qmodel.api.serving import Accelerator, Engine, Serving
from qmodel.api.spec import QuantizedModelSpec
from qmodel.naming import short_hash
from qmodel.planner.once import once
from qmodel.planner.recipes import recipe

REVISION_LENGTH = 10
_WHO_MAY_READ = {
    "huggingFace": "tokenSecretRef",
    "s3": "credentialsSecretRef",
    "oci": "pullSecretRef",
}
"""Of each kind of source, the field that names its credentials."""


def digest(*parts: Any) -> str:
    """Return a short hash of JSON values; the order of keys does not matter."""
    return short_hash(json.dumps(parts, sort_keys=True, separators=(",", ":")))


@once
def source_key(spec: QuantizedModelSpec) -> str:
    """Return what a resolved source depends on: where it is, not who may read it."""
    source = spec.source.to_wire()
    for kind, reference in _WHO_MAY_READ.items():
        source.get(kind, {}).pop(reference, None)
    return digest(source, spec.quantization.method)


def recipe_identity(spec: QuantizedModelSpec) -> dict[str, Any]:
    """Return what an artifact depends on besides its source, defaults filled in.

    A text of the user is identified by its reference: its content is not read by the operator.
    """
    found = recipe(spec.quantization).to_wire()
    asked = spec.quantization.calibration
    if asked is not None and asked.text is not None:
        found["calibration"]["file"] = asked.text.to_wire()
    return found


@once
def revision(spec: QuantizedModelSpec, source_digest: str) -> str:
    """Return the name of an artifact: hash of the resolved source and the recipe."""
    text = json.dumps([source_digest, recipe_identity(spec)], sort_keys=True)
    return short_hash(text, REVISION_LENGTH)


@once
def evaluation_key(spec: QuantizedModelSpec) -> str:
    """Return what an evaluation depends on besides the artifact; the gate is not in it.

    A source that is served as it is has nothing to evaluate on.
    """
    text = None if spec.quantization.method == "None" else spec.quality_gate.text
    return digest(None if text is None else text.to_wire())


@once
def accelerator_key(wanted: Accelerator, source_digest: str) -> str:
    """Return what an accelerator is chosen for, whatever is made of the source."""
    return digest(wanted.to_wire(), source_digest)


@once
def load_key(serving: Serving, engine: Engine) -> str:
    """Return what of spec decides how much of a GPU a revision needs, as users write it."""
    split = serving.tensor_parallel_size
    return digest(
        engine,
        serving.context_length,
        serving.concurrency,
        serving.kv_cache_type,
        serving.dtype,
        *([] if split is None else [split]),
    )


@once
def serving_key(
    serving: Serving, engine: Engine, resource_name: str | None, count: int | None
) -> str:
    """Return what of spec changes memory in ways that only a measurement tells.

    What a release of the operator chooses is not in it: an upgrade measures nothing anew.

    Parameters
    ----------
    resource_name, count
        The accelerator; without a count none is chosen yet.
    """
    return digest(
        engine,
        serving.kv_cache_type,
        serving.dtype,
        serving.tensor_parallel_size,
        serving.extra_args or [],
        [variable.to_wire() for variable in serving.env or []],
        [] if count is None else [resource_name, count],
        *([] if serving.cpu is None else [serving.cpu]),
    )
