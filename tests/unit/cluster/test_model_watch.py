import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from yarl import URL

from qmodel.cluster.kinds import MODEL, POD
from qmodel.cluster.model_watch import ModelWatch

MODELS = f"https://server{MODEL.path('ns')}"


async def ask(watch: ModelWatch, url: str, outcome: int | Exception = 200) -> None:
    async def handler(_: object) -> Any:
        await asyncio.sleep(0)
        if isinstance(outcome, Exception):
            raise outcome
        return SimpleNamespace(status=outcome)

    await watch.notice(SimpleNamespace(url=URL(url)), handler)  # type: ignore[arg-type]


@pytest.mark.parametrize("outcome", [403, 503])
async def test_a_refused_watch_counts_as_failing_until_one_succeeds(outcome: int) -> None:
    watch = ModelWatch()
    await ask(watch, f"{MODELS}?watch=true", outcome)
    since = watch.failing_since
    assert since is not None
    await ask(watch, f"{MODELS}?watch=true", outcome)
    assert watch.failing_since == since
    await ask(watch, f"{MODELS}?watch=true")
    assert watch.failing_since is None


async def test_a_server_that_does_not_answer_counts_as_failing() -> None:
    watch = ModelWatch()
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(watch, MODELS, aiohttp.ClientConnectionError())
    assert watch.failing_since is not None


async def test_one_namespace_that_is_heard_does_not_hide_another_that_is_not() -> None:
    watch = ModelWatch()
    await ask(watch, MODELS, 403)
    await ask(watch, f"https://server{MODEL.path('other')}")
    assert watch.failing_since is not None


async def test_only_a_second_list_may_have_missed_something() -> None:
    watch = ModelWatch()
    for url in (MODELS, f"{MODELS}?continue=x", f"{MODELS}?watch=true"):
        await ask(watch, url)
    assert not watch.listed_again.is_set()
    await ask(watch, MODELS)
    assert watch.listed_again.is_set()


async def test_other_requests_say_nothing() -> None:
    watch = ModelWatch()
    await ask(watch, f"https://server{POD.path('ns')}", 503)
    assert watch.failing_since is None
