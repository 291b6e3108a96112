"""Faults that a test switches on while the hub runs."""

import re
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["status", "interrupt", "corrupt", "slow", "whole"]


@dataclass
class Fault:
    """What goes wrong with the next requests whose path matches.

    `status` answers `status` (with `retry_after` seconds), `interrupt` closes the connection
    after `after_bytes` of the body, `corrupt` changes the body's first byte, `slow` sends
    `bytes_per_second`, some every second, `whole` sends the whole file whatever range was asked
    for. It holds for `times` requests and for `seconds`, forever
    without.
    """

    kind: Kind
    path: str = ""
    status: int = 503
    retry_after: int | None = None
    after_bytes: int = 0
    bytes_per_second: int = 1_000_000
    times: int | None = None
    seconds: float | None = None
    started: float = field(default_factory=time.monotonic, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(self.kind)
        re.compile(self.path)

    @property
    def is_over(self) -> bool:
        """Whether its requests or its time are used up."""
        is_late = self.seconds is not None and time.monotonic() - self.started > self.seconds
        return is_late or self.times == 0


class Faults:
    """The faults that are switched on; safe for the server's threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults.clear()

    def take(self, path: str, *kinds: Kind) -> Fault | None:
        """Return the fault of these kinds that a request for the path meets, and count it."""
        with self._lock:
            self._faults = [fault for fault in self._faults if not fault.is_over]
            for fault in self._faults:
                if fault.kind in kinds and re.search(fault.path, path):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults that are on."""
        with self._lock:
            return [asdict(fault) for fault in self._faults if not fault.is_over]
