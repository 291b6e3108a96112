"""Whether an object still says what was applied to it.

Only fields that we want are looked at: the API server and other writers add fields of their own
(defaults, a node port, an autoscaler's replicas), and those are theirs.
"""

from typing import Any

from qmodel.api.quantities import parse_quantity


def has_drifted(wanted: Any, found: Any) -> bool:
    """Whether `found` lacks or contradicts something that is wanted.

    Parameters
    ----------
    wanted
        JSON as it was applied.
    found
        JSON as the API server keeps it: an empty value may be left out, a quantity may be
        written in another unit.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        return any(has_drifted(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) != len(found) or any(map(has_drifted, wanted, found))
    if found is None:
        return bool(wanted)
    return wanted != found and not _same_quantity(wanted, found)


def lacks(wanted: Any, found: Any) -> bool:
    """Whether `found` has drifted, where items that others added to a list do not count."""
    if isinstance(wanted, list) and isinstance(found, list):
        return any(all(has_drifted(item, other) for other in found) for item in wanted)
    return has_drifted(wanted, found)


def _same_quantity(wanted: Any, found: Any) -> bool:
    """Whether two values are the same amount, such as 1024Mi and 1Gi."""
    try:
        return parse_quantity(str(wanted)) == parse_quantity(str(found))
    except (ValueError, ArithmeticError):
        return False
