"""The one way in which times are written."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Return a moment as Kubernetes writes it: UTC, in whole seconds.

    Parameters
    ----------
    moment
        Aware of its zone.
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
