"""The status page, rendered once for everybody, and the word that it changed.

Before it: `reading`. After it: the handlers in `pages` and `events`. Invariant: however many people look, history is asked at most once per
`web.refresh_interval`, and not at all when nobody looks.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from watchdesk_collector.clock import Clock
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.web.reading import StatusReader
from watchdesk_collector.web.reads import Reads
from watchdesk_collector.web.rendering import Templates
from watchdesk_collector.web.status import StatusView, build_status

log = logging.getLogger(__name__)

_MOST_OF_THE_TIME = 0.1  # refreshing for open pages takes no larger share of a thread than this


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """One rendering; `version` changes exactly when `fragment` does."""

    at: datetime
    view: StatusView
    fragment: str
    version: str


class LiveStatus:
    """The newest rendering. `run` keeps it fresh while somebody watches."""

    def __init__(
        self, *, clock: Clock, metrics: Metrics, reader: StatusReader, reads: Reads, templates: Templates, refresh_interval_s: float
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._reader = reader
        self._reads = reads
        self._templates = templates
        self._refresh_interval_s = refresh_interval_s
        self._page: StatusPage | None = None
        self._refreshing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watched = asyncio.Event()
        self._watchers: set[asyncio.Task[object]] = set()

    async def current(self) -> StatusPage:
        """No older than the refresh interval. **Errors**: HTTPServiceUnavailable when reading takes too long."""
        async with self._refreshing:
            if self._page is None or self._clock.now() - self._page.at >= timedelta(seconds=self._refresh_interval_s):
                self._publish(await self._reads.run(self._render))
            assert self._page is not None  # noqa: S101  published above or before
            return self._page

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While entered, `run` keeps the page fresh. The task that enters is cancelled by `dismiss`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  handlers run in tasks
        self._watchers.add(task)
        self._metrics.event_streams.set(len(self._watchers))
        self._watched.set()
        try:
            yield
        finally:
            self._watchers.discard(task)
            self._metrics.event_streams.set(len(self._watchers))
            if not self._watchers:
                self._watched.clear()

    def dismiss(self) -> None:
        """Ends all watching, for the collector stops."""
        for task in self._watchers:
            task.cancel()

    async def newer_than(self, version: str) -> StatusPage:
        """Waits for a rendering that differs from this one."""
        while self._page is None or self._page.version == version:
            await self._changed.wait()
        return self._page

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._watched.wait()
            began_s = self._clock.monotonic_s()
            await self._refresh()
            took_s = self._clock.monotonic_s() - began_s
            await asyncio.sleep(max(self._refresh_interval_s, took_s / _MOST_OF_THE_TIME))

    async def _refresh(self) -> None:
        """A failure is told and tried again at the next turn: open pages keep what they show."""
        try:
            await self.current()
        except web.HTTPServiceUnavailable as error:
            log.warning("the status page could not be refreshed: %s", error.text)
        except Exception:
            log.exception("the status page could not be refreshed")

    def _render(self) -> StatusPage:
        with self._metrics.status_seconds.time():
            view = build_status(self._reader.read())
            fragment = self._templates.render("status_fragment.html", view=view)
        version = hashlib.blake2b(fragment.encode(), digest_size=8).hexdigest()
        return StatusPage(at=view.at, view=view, fragment=fragment, version=version)

    def _publish(self, page: StatusPage) -> None:
        self._page = page
        self._changed.set()
        self._changed = asyncio.Event()


LIVE: web.AppKey[LiveStatus] = web.AppKey("live", LiveStatus)
