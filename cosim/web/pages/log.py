"""The ledger, read-only, under the paths of C2SP tlog-tiles: for log clients, and for nodes of members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response

from cosim.web.pages.desk import Desk
from market.ledger.format.tiles import CHECKPOINT, WITNESSED
from market.ledger.read.tiles import list_headers, read_path
from market.ledger.store.store import Store

PATHS = (f"/{CHECKPOINT}", f"/{WITNESSED}", "/tile/{path:path}")
MOST_AT_ONCE = 2


def make_log_endpoint(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """What answers the paths of the log; it knows no visitors."""
    limit = CapacityLimiter(MOST_AT_ONCE)

    async def endpoint(request: Request) -> Response:
        return await to_thread.run_sync(_answer, desk, request.url.path, limiter=limit)

    return endpoint


def _answer(desk: Desk, path: str) -> Response:
    with Store.open_to_read(desk.live.directory) as store:
        body = read_path(store, path)
    if body is None:
        return Response("nothing under this path\n", 404, media_type="text/plain")
    return Response(body, headers=list_headers(path))
