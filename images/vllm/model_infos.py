"""Looks at every model class of vLLM once, when the image is built.

A server asks what its model's class can do before it starts the engine, and finds out by importing
everything once more in a process of its own, unless a file of its cache tells.
"""

import logging

from vllm.model_executor.models import registry

_log = logging.getLogger("vllm.model_infos")


def main() -> None:
    """Fill the cache below VLLM_CACHE_ROOT; a class that cannot be imported has no file."""
    registry._run_in_subprocess = lambda look: look()  # noqa: SLF001  one process for all
    for architecture, model in registry.ModelRegistry.models.items():
        try:
            model.inspect_model_cls()
        except Exception as error:  # noqa: BLE001  a library that the image does without
            _log.info("%s cannot be imported: %s", architecture, error)


if __name__ == "__main__":
    main()
