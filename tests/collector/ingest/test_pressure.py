"""What a collector does when more comes than it can take: it stays within its bounds, and nothing that it acked is lost."""

import asyncio
import threading
import time

import grpc
import grpc.aio
import pytest
from collector.ingest.client import WireAgent, table_of
from collector.ingest.conftest import TOKEN, TOY, Collector, Start
from watchdesk_collector.history.steps import Step
from watchdesk_proto.v1 import ingest_pb2 as pb

NOW_US = int(time.time() * 1e6)
ROWS = 500
DEADLINE_S = 30


class SlowDisk:
    """Holds each commit until it is let go."""

    def __init__(self) -> None:
        self.is_quick = threading.Event()
        self.is_held = threading.Event()

    def __call__(self, step: Step) -> None:
        if step is Step.ROWS_INSERTED:
            self.is_held.set()
            assert self.is_quick.wait(DEADLINE_S)


def many(first_us: int) -> pb.Table:
    return table_of(TOY, [first_us + i for i in range(ROWS)], [["p"] * ROWS, [0.5] * ROWS])


def agent_of(collector: Collector, host: str) -> WireAgent:
    return WireAgent(collector.address, token=TOKEN, ca=collector.ca, host=host)


async def flood(collector: Collector, host: str, batches: int, lane: "pb.Lane.ValueType") -> int:
    """Send without waiting for answers; returns how many were acked in the end."""
    async with agent_of(collector, host) as agent:
        await agent.declare(TOY)
        sending = asyncio.create_task(_send(agent, batches, lane))
        acked = 0
        while acked < batches:
            answer = await agent.read()
            acked += sum(span.last - span.first + 1 for epoch in answer.ack.acked for span in epoch.ranges)
        await sending
        return acked


async def _send(agent: WireAgent, batches: int, lane: "pb.Lane.ValueType") -> None:
    for seq in range(1, batches + 1):
        await agent.batch(seq, many(NOW_US + seq * ROWS), lane=lane)


def queued_bytes(collector: Collector) -> float:
    return collector.metrics.registry.get_sample_value("watchdesk_ingest_queue_bytes") or 0.0


async def test_a_slow_disk_and_a_flood_fill_the_queues_and_no_more(start: Start) -> None:
    disk = SlowDisk()
    bound, batch_bytes = 256 * 1024, 3 * 8 * ROWS + 8 * ROWS
    async with start(steps=disk, max_queued_bytes=bound) as collector:
        floods = [asyncio.create_task(flood(collector, f"web{n}", 40, pb.LANE_LIVE)) for n in range(4)]
        await asyncio.to_thread(disk.is_held.wait, DEADLINE_S)
        highest = 0.0
        for _ in range(100):
            highest = max(highest, queued_bytes(collector))
            await asyncio.sleep(0.01)
        assert bound / 4 < highest <= bound / 2 + batch_bytes
        assert not any(one.done() for one in floods)
        disk.is_quick.set()
        async with asyncio.timeout(DEADLINE_S):
            assert await asyncio.gather(*floods) == [40] * 4
        assert collector.rows("SELECT count(*) AS n, count(DISTINCT (host, epoch, seq)) AS different FROM batch") == [{"n": 160, "different": 160}]


async def test_what_is_live_is_taken_while_backfill_fills_its_queue(start: Start) -> None:
    disk = SlowDisk()
    async with start(steps=disk, max_queued_bytes=64 * 1024, commit_rows=ROWS) as collector:
        backfill = asyncio.create_task(flood(collector, "old", 60, pb.LANE_BACKFILL))
        await asyncio.to_thread(disk.is_held.wait, DEADLINE_S)
        live = asyncio.create_task(flood(collector, "new", 1, pb.LANE_LIVE))
        disk.is_quick.set()
        async with asyncio.timeout(DEADLINE_S):
            await live
            assert not backfill.done()
            assert await backfill == 60


async def test_each_host_is_told_its_share_of_backfill(start: Start) -> None:
    async with start(max_queued_bytes=1024 * 1024) as collector:
        async with agent_of(collector, "web1") as agent:
            assert agent.welcome.limits.max_backfill_bytes == 128 * 1024
        async with agent_of(collector, "web2") as agent:
            assert agent.welcome.limits.max_backfill_bytes == 64 * 1024


async def test_more_agents_than_can_be_greeted_at_once_are_asked_to_come_again(start: Start) -> None:
    async with start(max_greetings=0) as collector:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            async with agent_of(collector, "web1"):
                pass
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "come again" in (refusal.value.details() or "")


async def test_many_agents_that_return_at_once_are_all_welcomed(collector: Collector) -> None:
    async def visit(number: int) -> None:
        async with agent_of(collector, f"web{number}") as agent:
            assert agent.welcome.clock_us > 0

    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(visit(number) for number in range(100)))
    assert len(collector.hosts) == 100
    assert collector.metrics.registry.get_sample_value("watchdesk_ingest_greetings") == 0
