"""Sizes as people write them."""


def megabytes(count: int) -> str:
    """Return a size on disk, in units of ten."""
    return f"{count / 1e9:,.1f} GB" if count >= 10**10 else f"{count / 1e6:,.0f} MB"


def mebibytes(count: int) -> str:
    """Return a size in memory, in units of two."""
    return f"{count / 2**30:,.1f} GiB" if count >= 10 * 2**30 else f"{count / 2**20:,.0f} MiB"
