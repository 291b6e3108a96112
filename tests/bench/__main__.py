"""`python tests/bench NAME`: runs one benchmark and prints its figures."""

import signal
import sys
from importlib import import_module
from pathlib import Path

# A folder that is run puts itself on the path; its modules are to be found as `bench.NAME`.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

NAMES = (
    "footprint", "gpu", "methods", "overhead", "plain", "ranks", "rounding", "scale", "sizing",
    "sizing_vllm",
)  # fmt: skip


def main() -> int:
    """Run what was asked for; return the exit status."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(f"usage: python tests/bench {'|'.join(NAMES)}", file=sys.stderr)
        return 2
    # What a benchmark started has to end with it, also when `timeout` ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    name = sys.argv.pop(1)
    status: int = import_module(f"bench.{name}").main()
    return status


if __name__ == "__main__":
    sys.exit(main())
