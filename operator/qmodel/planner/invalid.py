"""What to do about a resource whose spec passes the schema but makes no sense to this operator.

Nothing but to say so: what serves goes on, and what was reached before stays on record.
"""

from datetime import datetime

from qmodel.api.conditions import ConditionType
from qmodel.planner import announcements, conditions, context
from qmodel.planner.observed import InvalidModel
from qmodel.planner.wishes import Plan

REASON = "InvalidSpec"


def plan(model: InvalidModel, now: datetime) -> Plan:
    """Say which fields are wrong.

    Parameters
    ----------
    now
        The time, aware of its zone.
    """
    told = context.blocked(ConditionType.INSPECTED, REASON, "; ".join(model.problems))
    status = conditions.merge(model.status, told, model.generation, now)
    status = conditions.merge(status, conditions.ready(status), model.generation, now)
    status = status.updated({"observed_generation": model.generation, "stage": REASON})
    return Plan(wishes=(), status=status, announcements=announcements.between(model.status, status))
