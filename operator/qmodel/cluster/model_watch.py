"""What kopf does not tell of its watches of QuantizedModels, read off its requests.

kopf retries for ever without a word to the handlers, so nobody would learn that the operator is
deaf. And where it lists anew after a broken watch, it does not tell what was deleted meanwhile.
"""

import asyncio

import aiohttp
from yarl import URL

from qmodel.cluster.errors import is_success
from qmodel.cluster.kinds import MODEL, Kind

_COLLECTION = f"/{MODEL.plural}"


class ModelWatch:
    """Looks at the requests of kopf's session; a middleware of aiohttp."""

    kind: Kind = MODEL

    def __init__(self) -> None:
        self._failing: dict[str, float] = {}
        """Since when, in loop time, requests fail; by the path of a namespace's collection."""
        self._listed: set[str] = set()
        self.listed_again = asyncio.Event()
        """Set when kopf listed a namespace once more: something may have gone unheard."""

    @property
    def failing_since(self) -> float | None:
        """Loop time since when some namespace is not heard of; None while all are."""
        return min(self._failing.values(), default=None)

    async def notice(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Pass a request on and keep how it went."""
        url = request.url
        if not url.path.endswith(_COLLECTION):
            return await handler(request)
        try:
            answer = await handler(request)
        except (aiohttp.ClientError, TimeoutError, OSError):
            self._failed(url)
            raise
        if is_success(answer.status):
            self._succeeded(url)
        else:
            self._failed(url)
        return answer

    def _failed(self, url: URL) -> None:
        self._failing.setdefault(url.path, asyncio.get_running_loop().time())

    def _succeeded(self, url: URL) -> None:
        self._failing.pop(url.path, None)
        if "watch" in url.query or "continue" in url.query:
            return
        if url.path in self._listed:
            self.listed_again.set()
        self._listed.add(url.path)
