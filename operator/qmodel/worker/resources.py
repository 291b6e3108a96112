"""What a step took."""

import resource


def peak_bytes() -> int:
    """Return the peak resident memory of this process or of the largest tool that it ran."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(w).ru_maxrss for w in who) * 1024  # Linux counts KiB
