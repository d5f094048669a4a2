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
_SEND_BUFFER_BYTES = 4096


async def events(request: web.Request) -> web.StreamResponse:
    """**Shapes**: `event: status`, `data: <version>`, at once and whenever it changes; comments in between."""
    live = request.app[LIVE]
    if live.watchers >= request.app[DEPS].config.max_event_streams:
        raise web.HTTPServiceUnavailable(text="Too many open pages are refreshing already; reload this one by hand.", headers={"Retry-After": "60"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    if request.transport is not None:
        _shrink_buffers(request.transport)
        with live.watching():
            await _tell(response, live, request.transport)
    return response


async def _tell(response: web.StreamResponse, live: LiveStatus, transport: asyncio.Transport) -> None:
    version = ""
    try:
        async with asyncio.timeout(_LONGEST_S):
            while True:
                message, version = await _next_message(live, version)
                if transport.get_write_buffer_size() > 0:  # not even the previous message found room: nobody reads
                    transport.abort()
                    return
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


def _shrink_buffers(transport: asyncio.Transport) -> None:
    """Few bytes wait for a client; in the default buffers, one that stopped reading would go unnoticed for hours."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
