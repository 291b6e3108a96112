"""Looks at every model class of vLLM once, when the image is built.

A server asks what its model's class can do before it starts the engine, and finds out by importing
everything once more in a process of its own, unless a file of its cache tells. What cannot be
imported is kept too, so that the operator's list of it can be held against the image.
"""

import json
import os
from pathlib import Path

from vllm.model_executor.models import registry

MISSING = Path(os.environ["VLLM_CACHE_ROOT"]) / "missing.json"


def main() -> None:
    """Fill the cache below VLLM_CACHE_ROOT; a class that cannot be imported has no file there."""
    registry._run_in_subprocess = lambda look: look()  # noqa: SLF001  one process for all
    missing = {}
    for architecture, model in registry.ModelRegistry.models.items():
        try:
            model.inspect_model_cls()
        except Exception as error:  # noqa: BLE001  a library that the image does without
            missing[architecture] = str(error)
    MISSING.write_text(json.dumps(missing))


if __name__ == "__main__":
    main()
