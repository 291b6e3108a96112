"""The buffers that llama-server prints while it loads (at verbosity 4)."""

import re
from dataclasses import dataclass, field

_BUFFER = re.compile(
    r"\s(?P<name>[\w-]+)\s+(?P<kind>model|KV|RS|compute|output) buffer size"
    r"\s*=\s*(?P<mib>[\d.]+) MiB"
)
_CACHE = re.compile(
    r"size\s*=\s*(?P<mib>[\d.]+) MiB \(\s*(?P<cells>\d+) cells,\s*\d+ layers,"
    r"\s*\d+/(?P<streams>\d+) seqs\)"
)
_HOST = re.compile(r"^CPU|_Host$")
_PART = {"model": "weights", "KV": "kv", "RS": "kv", "compute": "compute", "output": "compute"}
"""RS is the state of recurrent layers, whose size is fixed for each sequence."""


@dataclass(frozen=True)
class Cache:
    """One KV cache: full layers and sliding layers have their own."""

    bytes: int
    cells: int
    """Tokens that each stream holds."""
    streams: int


@dataclass
class Buffers:
    """Sums of the printed sizes, in bytes, by use and by place."""

    weights: int = 0
    kv: int = 0
    compute: int = 0
    host: int = 0
    device: int = 0
    caches: list[Cache] = field(default_factory=list)

    def line(self, line: str) -> None:
        """Take one line of the log."""
        if found := _BUFFER.search(line):
            size, part = _bytes(found["mib"]), _PART[found["kind"]]
            setattr(self, part, getattr(self, part) + size)
            where = "host" if _HOST.search(found["name"]) else "device"
            setattr(self, where, getattr(self, where) + size)
        elif found := _CACHE.search(line):
            cache = Cache(_bytes(found["mib"]), int(found["cells"]), int(found["streams"]))
            self.caches.append(cache)

    def kv_bytes_per_token(self, context_length: int) -> int:
        """Return what one more token of one sequence takes.

        A sliding window's cache holds fewer cells than the context and does not grow with it.
        """
        growing = (cache for cache in self.caches if cache.cells >= context_length)
        return round(sum(cache.bytes / (cache.cells * cache.streams) for cache in growing))


def _bytes(mebibytes: str) -> int:
    return round(float(mebibytes) * 2**20)
