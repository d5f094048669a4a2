"""The heartbeat beats while the collector is healthy, and only then."""

import asyncio
import logging

import pytest
from collector.notify.servers import HookServer
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.notify.config import HeartbeatConfig
from watchdesk_collector.notify.heartbeat import Heartbeat


def heartbeat(config: HeartbeatConfig, *, ailments: list[str | None] | None = None) -> tuple[Heartbeat, Metrics]:
    metrics = Metrics()
    return Heartbeat(config=config, ailment=lambda: ailments.pop(0) if ailments else None, metrics=metrics), metrics


def counted(metrics: Metrics, outcome: str) -> float:
    return metrics.registry.get_sample_value("watchdesk_notify_heartbeats_total", {"outcome": outcome}) or 0


async def test_it_calls_while_the_collector_is_healthy_and_keeps_still_while_it_is_not(hooks: HookServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    beating, metrics = heartbeat(HeartbeatConfig(url=hooks.url), ailments=[None, "history is full", "history is full", None])
    assert [await beating.beat(hooks.url) for _ in range(4)] == [True, False, False, True]
    assert len(hooks.received) == 2
    assert (counted(metrics, "sent"), counted(metrics, "withheld")) == (2, 2)
    assert [record.message for record in caplog.records if record.name.endswith("heartbeat")] == [
        "no heartbeat is sent: history is full",
        "the heartbeat is heard again",
    ]


async def test_what_goes_wrong_is_counted_and_does_not_end_it(hooks: HookServer, caplog: pytest.LogCaptureFixture) -> None:
    hooks.answers += [500, 302]
    beating, metrics = heartbeat(HeartbeatConfig(url=hooks.url, timeout=0.2))
    assert not await beating.beat(hooks.url)
    assert not await beating.beat(hooks.url)
    hooks.hold = asyncio.Event()
    assert not await beating.beat(hooks.url)
    hooks.hold.set()
    assert not await beating.beat("http://127.0.0.1:1/")
    assert counted(metrics, "failed") == 4
    assert "token-in-the-path" not in caplog.text


async def test_without_a_url_there_is_none(hooks: HookServer) -> None:
    beating, _ = heartbeat(HeartbeatConfig())
    await asyncio.wait_for(beating.run(), 5)
    assert hooks.received == []


async def test_it_beats_each_interval_until_it_is_cancelled(hooks: HookServer) -> None:
    beating, _ = heartbeat(HeartbeatConfig(url=hooks.url, interval=0.01))
    running = asyncio.create_task(beating.run())
    await hooks.inbox.hold(3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
