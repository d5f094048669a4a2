"""`/events`: tells open pages that there is something fresh to fetch.

A message names a version and nothing else, so a client that lags misses versions rather than queueing them. Invariant: a stream costs the collector
a few kilobytes at most. What keeps it so: few streams at once, small buffers, and an end for clients that stop reading and for streams that grow old
(a browser reconnects by itself).
"""

import asyncio
import socket

from aiohttp import web

from watchdesk_collector.web.deps import DEPS
from watchdesk_collector.web.live import LIVE, LiveStatus

_LONGEST_S = 15 * 60.0
_KEEPALIVE_S = 15.0
_WRITE_TIMEOUT_S = 10.0
_SEND_BUFFER_BYTES = 4096


async def events(request: web.Request) -> web.StreamResponse:
    """**Shapes**: `event: status`, `data: <version>`, at once and whenever it changes; comments in between."""
    live = request.app[LIVE]
    if live.watchers >= request.app[DEPS].config.max_event_streams:
        raise web.HTTPServiceUnavailable(text="Too many open pages are refreshing already; reload this one by hand.", headers={"Retry-After": "60"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    _shrink_buffers(request)
    with live.watching():
        await _tell(response, live)
    return response


async def _tell(response: web.StreamResponse, live: LiveStatus) -> None:
    version = ""
    try:
        async with asyncio.timeout(_LONGEST_S):
            while True:
                message, version = await _next_message(live, version)
                async with asyncio.timeout(_WRITE_TIMEOUT_S):
                    await response.write(message)
    except (TimeoutError, ConnectionError):
        return


async def _next_message(live: LiveStatus, version: str) -> tuple[bytes, str]:
    try:
        async with asyncio.timeout(_KEEPALIVE_S):
            page = await live.newer_than(version)
    except TimeoutError:
        return b": nothing new\n\n", version
    return f"event: status\ndata: {page.version}\n\n".encode(), page.version


def _shrink_buffers(request: web.Request) -> None:
    """Few bytes wait for a client; with the default buffers, one that stopped reading would go unnoticed for hours."""
    if request.transport is None:
        return
    request.transport.set_write_buffer_limits(high=0)
    connection = request.transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
