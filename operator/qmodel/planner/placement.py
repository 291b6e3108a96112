"""Where the pods of a model may run.

The volume may be usable on one node or zone only, and is bound where the first pod that mounts it
lands. So that pod carries the node constraints of every step that follows, the server's included.
"""

from qmodel.api.placement import NodeSelector, Toleration
from qmodel.api.serving import PodTemplate
from qmodel.planner.containers import Step
from qmodel.planner.context import Context


def placement(ctx: Context) -> tuple[NodeSelector, tuple[Toleration, ...]]:
    """Return the node selector and tolerations of every pod that mounts the volume."""
    spec = ctx.model.spec
    chosen = ctx.status.accelerator
    template = spec.serving.pod_template
    selector: NodeSelector = {
        **(spec.quantization.node_selector or {}),
        **((template.node_selector if template else None) or {}),
        **(chosen.node_selector if chosen else {}),
    }
    tolerations = (
        *(spec.quantization.tolerations or []),
        *((template.tolerations if template else None) or []),
        *(chosen.tolerations if chosen else []),
    )
    return selector, tuple(t for i, t in enumerate(tolerations) if t not in tolerations[:i])


def carried(ctx: Context, step: Step, *, on_gpus: bool = False) -> PodTemplate | None:
    """Return what else of the server's pod template the pod of a step needs.

    Every image may have to be pulled with a Secret. A pod that mounts the volume goes where the
    server may go; one that computes on GPUs needs the runtime by which they are seen; one that runs
    the engine runs it as the server will.
    """
    template = ctx.model.spec.serving.pod_template
    if template is None:
        return None
    kept = {"image_pull_secrets"}
    kept |= {"affinity"} if step is not Step.INSPECT else set()
    kept |= {"runtime_class_name"} if on_gpus or step is Step.MEASURE else set()
    kept |= {"priority_class_name"} if step is Step.MEASURE else set()
    found = template.model_dump(include=kept, exclude_none=True)
    return PodTemplate.model_validate(found) if found else None
