"""The worker's own step, which also tells what it had used when its backend was done.

What follows has no counterpart in a plain script: checks of what was written, hashes of every file,
the manifest, the model card, the list of parameters.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from qmodel.worker import __main__ as worker
from qmodel.worker.backends import registry


class Told:
    """A backend that leaves the CPU seconds used up to its end in a file."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.takes_samples: bool = backend.takes_samples
        self.makes_folder: bool = backend.makes_folder

    def quantize(self, *arguments: Any) -> None:
        self._backend.quantize(*arguments)
        own, tools = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        seconds = own.ru_utime + own.ru_stime + tools.ru_utime + tools.ru_stime
        Path(os.environ["BENCH_FIGURES"]).write_text(json.dumps({"backendSeconds": seconds}))

    def versions(self) -> Any:
        return self._backend.versions()


load = registry.load
registry.load = lambda backend: Told(load(backend))
sys.exit(worker.main())
