"""The web application and its listener.

Before it on the pipe: history, ops.db and the hosts in memory, read by the handlers. Invariant: nothing here writes history.
"""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from watchdesk_collector.listen import ListenError, parse_listen
from watchdesk_collector.web.auth import check_names
from watchdesk_collector.web.deps import DEPS, WebDeps
from watchdesk_collector.web.errors import show_errors
from watchdesk_collector.web.headers import add_headers
from watchdesk_collector.web.live import LIVE, LiveStatus
from watchdesk_collector.web.reading import StatusReader
from watchdesk_collector.web.reads import READS, Reads
from watchdesk_collector.web.rendering import TEMPLATES, Templates
from watchdesk_collector.web.routes import ROUTES
from watchdesk_collector.web.static_files import STATIC, StaticFiles

_READ_THREADS = 2
_MAX_REQUEST_BYTES = 1 << 20


def create_app(deps: WebDeps) -> web.Application:
    """The application with all its routes; it owns nothing but its read threads."""
    app = web.Application(middlewares=[show_errors, check_names], client_max_size=_MAX_REQUEST_BYTES)
    app[DEPS] = deps
    app[STATIC] = StaticFiles.from_package()
    app[TEMPLATES] = Templates(static=app[STATIC], version=deps.version)
    app.add_routes(ROUTES)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(_reads)
    app.cleanup_ctx.append(_live)
    app.on_shutdown.append(_end_streams)
    return app


class WebServer:
    """Serves `create_app` on `web.listen`."""

    def __init__(self, *, deps: WebDeps) -> None:
        self._listen = deps.config.listen
        self._runner = web.AppRunner(create_app(deps), access_log=None, shutdown_timeout=5)
        self.port = 0

    async def start(self) -> None:
        """Listens when it returns; `port` then is the real one. **Errors**: ListenError."""
        address, port = parse_listen(self._listen)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, address, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ListenError(_listen_sentence(self._listen, error)) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Ends event streams and waits for answers under way."""
        await self._runner.cleanup()


def _listen_sentence(listen: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"web.listen: {listen} is in use by another program; end it or set web.listen to another port"
    return f"web.listen: cannot listen on {listen}: {error.strerror}; set web.listen to an address of this machine"


async def _reads(app: web.Application) -> AsyncIterator[None]:
    reads = app[READS] = Reads(threads=_READ_THREADS, timeout_s=app[DEPS].config.query_timeout)
    yield
    await asyncio.to_thread(reads.close)


async def _end_streams(app: web.Application) -> None:
    app[LIVE].dismiss()


async def _live(app: web.Application) -> AsyncIterator[None]:
    deps = app[DEPS]
    live = app[LIVE] = LiveStatus(
        clock=deps.clock,
        metrics=deps.metrics,
        reader=StatusReader(deps=deps),
        reads=app[READS],
        templates=app[TEMPLATES],
        refresh_interval_s=deps.config.refresh_interval,
    )
    running = asyncio.create_task(live.run())
    yield
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
