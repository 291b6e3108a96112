"""The status of a model whose spec passes the schema but makes no sense to this operator."""

from datetime import datetime

from qmodel.api.conditions import Condition, ConditionStatus, ConditionType
from qmodel.api.status import QuantizedModelStatus
from qmodel.cluster.parse import InvalidModel

REASON = "InvalidSpec"
MAX_MESSAGE_CHARACTERS = 1024


def status(model: InvalidModel, now: datetime) -> QuantizedModelStatus:
    """Return the status that says which fields are wrong; what was reached before stays on record.

    Parameters
    ----------
    now
        Becomes the transition time of a condition that was not False before.
    """
    message = "; ".join(model.problems)[:MAX_MESSAGE_CHARACTERS]
    refused = (ConditionType.INSPECTED, ConditionType.READY)
    kept = [condition for condition in model.status.conditions if condition.type not in refused]
    conditions = [_refused(model, kind, message, now) for kind in refused]
    return model.status.model_copy(
        update={
            "observed_generation": model.generation,
            "stage": REASON,
            "conditions": [conditions[0], *kept, conditions[1]],
        }
    )


def _refused(model: InvalidModel, kind: ConditionType, message: str, now: datetime) -> Condition:
    """Return one False condition."""
    before = model.status.condition(kind)
    was_false = before is not None and before.status is ConditionStatus.FALSE
    return Condition(
        type=kind,
        status=ConditionStatus.FALSE,
        reason=REASON,
        message=message,
        observed_generation=model.generation,
        last_transition_time=(
            before.last_transition_time
            if before is not None and was_false
            else now.strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
    )
