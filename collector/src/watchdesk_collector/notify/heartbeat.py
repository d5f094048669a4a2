"""Calls somebody outside as long as the collector is healthy: when the calls stop, they raise the alarm that a dead collector cannot."""

import asyncio
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from watchdesk_collector.metrics import Metrics
from watchdesk_collector.notify.config import HeartbeatConfig

log = logging.getLogger(__name__)


class Heartbeat:
    """`ailment` says in a sentence why the collector is not healthy, or None; then it is silent."""

    def __init__(self, *, config: HeartbeatConfig, ailment: Callable[[], str | None], metrics: Metrics) -> None:
        self._config = config
        self._ailment = ailment
        self._metrics = metrics
        self._failed = False

    async def run(self) -> None:
        """Beat until cancelled; returns at once when no URL is set."""
        while self._config.url is not None:
            await self.beat(self._config.url)
            await asyncio.sleep(self._config.interval)

    async def beat(self, url: str) -> bool:
        """One call; whether it was made and answered. A failure is logged when it begins and when it ends."""
        if ailment := self._ailment():
            return self._note("withheld", f"no heartbeat is sent: {ailment}")
        server = urlsplit(url).netloc
        try:
            async with (
                asyncio.timeout(self._config.timeout),
                aiohttp.ClientSession() as session,
                session.request(self._config.method, url, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError:
            return self._note("failed", f"the heartbeat to {server} was not answered within {self._config.timeout:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return self._note("failed", f"the heartbeat cannot reach {server}: {type(error).__name__}")
        if not 200 <= status < 300:
            return self._note("failed", f"the heartbeat to {server} was answered {status}")
        return self._note("sent", "")

    def _note(self, outcome: str, trouble: str) -> bool:
        self._metrics.heartbeats.labels(outcome=outcome).inc()
        if trouble and not self._failed:
            log.warning("%s", trouble)
        if self._failed and not trouble:
            log.info("the heartbeat is heard again")
        self._failed = bool(trouble)
        return not trouble
