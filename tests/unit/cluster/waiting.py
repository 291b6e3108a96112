"""Waiting for what other tasks do."""

import asyncio
from collections.abc import Callable

DEADLINE_SECONDS = 10


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds, with a deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not holds():  # noqa: ASYNC110  what is tested sets no event for the test
            await asyncio.sleep(0.005)
