"""Where on the model's volume quantize and evaluate share what they make."""

from pathlib import Path


def base_store(artifact: Path) -> Path:
    """Return the folder of converted, unquantized models beside an artifact's folder."""
    return artifact.parent / ".base"
