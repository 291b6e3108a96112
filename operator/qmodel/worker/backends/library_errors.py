"""What the libraries that quantize on torch raise, as errors that say what a person can do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from qmodel.worker.errors import EngineFailed, OutOfMemory, StepError
from qmodel.worker.files import disk_full


@contextmanager
def library_errors(library: str, out: Path) -> Iterator[None]:
    """Translate whatever is raised while a library works and writes into `out`.

    These libraries document no errors of their own: assertions, lookups and torch's come as they
    are. None is swallowed; each ends the step with the library's words.

    Raises
    ------
    OutOfMemory
        If an accelerator has too little memory for one layer.
    DiskFull
        If the volume is full.
    EngineFailed
        If the library fails otherwise.
    """
    try:
        yield
    except (StepError, MemoryError):
        raise
    except torch.OutOfMemoryError as error:
        message = f"one layer does not fit into the accelerator's memory: {error}"
        raise OutOfMemory(message) from error
    except Exception as error:
        if "No space left" in str(error):  # from safetensors, which is no Python
            raise disk_full(out) from error
        message = f"{library} failed: {type(error).__name__}: {error}"
        raise EngineFailed(message) from error
