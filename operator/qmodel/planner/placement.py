"""Where the pods of a model may run.

The volume may be usable on one node or zone only, and is bound where the first pod that mounts it
lands. So that pod carries the node constraints of every step that follows, the server's included.
"""

from qmodel.api.quantization import NodeSelector, Toleration
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
    tolerations = [
        *(spec.quantization.tolerations or []),
        *((template.tolerations if template else None) or []),
        *(chosen.tolerations if chosen else []),
    ]
    unique = dict.fromkeys(t.model_dump_json() for t in tolerations)
    return selector, tuple(Toleration.model_validate_json(text) for text in unique)
