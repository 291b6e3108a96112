"""What a vocabulary takes in a process."""

from qmodel.worker.report import Inspection

_TOKEN_BYTES = 256
"""Texts, scores and merges of one token."""


def vocabulary_bytes(inspection: Inspection) -> int:
    """Return what the vocabulary takes in a process."""
    return inspection.vocabulary_size * _TOKEN_BYTES
