"""Times as people write them."""

import re

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_MINUTE = 60


def duration(seconds: float) -> str:
    """Return a time for people: 4 s, 2:05 or 1:02:05."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    minutes, rest = divmod(whole, _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def parse_duration(text: str) -> float:
    """Return the seconds that a time as kubectl takes it stands for, such as 90s, 10m or 1h30m.

    Raises
    ------
    ValueError
        It is no such time.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        message = f"{text!r} is not a time: write it like 90s, 10m or 1h30m"
        raise ValueError(message)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
