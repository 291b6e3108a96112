"""What a server is given beyond its predicted peak."""

MARGIN_SHARE_PERCENT = 3
"""Repeats of one measurement agree within 0.6%; carried to other settings, within 3%."""
MARGIN_FIXED_BYTES = 32 * 2**20
"""What does not grow with the model: heap fragmentation, thread stacks, kernel memory."""


def memory_limit_bytes(predicted: int) -> int:
    """Return the memory request and limit for a predicted peak, in bytes."""
    return predicted + -(-predicted * MARGIN_SHARE_PERCENT // 100) + MARGIN_FIXED_BYTES
