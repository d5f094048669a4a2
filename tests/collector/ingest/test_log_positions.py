"""Log positions go into history with their batch and come back in the Welcome, which tells all that was and will be stored of earlier streams."""

import asyncio
import threading
import uuid
from collections.abc import Callable

import pytest
from collector.ingest.client import WireAgent, pack
from collector.ingest.conftest import TOY, Collector, Start
from collector.ingest.test_stream import acked, agent_of, toys
from watchdesk_collector.history.steps import Step
from watchdesk_collector.ingest.committer import Receipt, Verdict
from watchdesk_collector.ingest.session import Session
from watchdesk_collector.model import Hole, Outcome
from watchdesk_proto.v1 import ingest_pb2 as pb

AGENT = str(uuid.uuid4())


def plain(seq: int, epoch: int, positions: dict[str, str]) -> pb.Batch:
    return pb.Batch(epoch=epoch, seq=seq, lane=pb.LANE_LIVE, tables=[toys(0.5)], log_positions=positions)


def packed(seq: int, epoch: int, positions: dict[str, str]) -> pb.Batch:
    batch = pack(seq, toys(0.5), epoch=epoch)
    batch.log_positions.update(positions)
    return batch


def of_welcome(agent: WireAgent) -> tuple[int, int, dict[str, str]]:
    told = agent.welcome.log_positions
    return told.epoch, told.seq, dict(told.values)


@pytest.mark.parametrize("make", [plain, packed])
async def test_positions_come_back_with_the_newest_batch_that_had_any(start: Start, make: Callable[[int, int, dict[str, str]], pb.Batch]) -> None:
    async with start() as collector, agent_of(collector, agent_id=AGENT) as agent:
        assert not agent.welcome.HasField("log_positions")
        await agent.declare(TOY)
        for seq, positions in enumerate(({"app": "1", "web": "1"}, {"app": "2"}, {}), start=1):
            await agent.send(batch=make(seq, 7, positions))
            await acked(agent)
    async with start() as collector, agent_of(collector, agent_id=AGENT, epoch=8) as agent:
        assert of_welcome(agent) == (7, 2, {"app": "2", "web": "1"})


@pytest.mark.parametrize("make", [plain, packed])
async def test_a_batch_says_of_which_time_its_samples_are_but_not_of_log_lines(
    collector: Collector, make: Callable[[int, int, dict[str, str]], pb.Batch]
) -> None:
    async with agent_of(collector) as agent:
        await agent.declare(TOY)
        await agent.send(batch=make(1, 7, {}))
        await agent.send(batch=make(2, 7, {"app": "1"}))
        await agent.send(batch=pb.Batch(epoch=7, seq=3, lane=pb.LANE_LIVE, tables=[toys(0.1, 0.2, 0.3)]))
        while not collector.rows("SELECT 1 FROM batch WHERE seq = 3"):
            await acked(agent)
    joined = "FROM toy JOIN batch ON epoch(toy.ts) BETWEEN sampled_from_seconds AND sampled_to_seconds GROUP BY seq ORDER BY seq"
    assert collector.rows(f"SELECT seq, count(DISTINCT toy.ts) AS slots {joined}") == [{"seq": 1, "slots": 1}, {"seq": 3, "slots": 3}]


async def test_a_batch_of_positions_alone_is_stored(collector: Collector) -> None:
    async with agent_of(collector, agent_id=AGENT) as agent:
        await agent.send(batch=pb.Batch(epoch=7, seq=1, lane=pb.LANE_LIVE, log_positions={"app": "1"}))
        assert await acked(agent) == [(7, 1, 1)]
    async with agent_of(collector, agent_id=AGENT, epoch=8) as agent:
        assert of_welcome(agent) == (7, 1, {"app": "1"})


@pytest.mark.parametrize("has_left", [False, True])
async def test_what_an_earlier_stream_has_queued_is_not_stored_after_the_welcome_of_the_next(start: Start, has_left: bool) -> None:
    async with start(commit_interval=1.0) as collector:
        async with agent_of(collector, agent_id=AGENT) as agent:
            await agent.declare(TOY)
            await agent.send(batch=plain(1, 7, {"app": "1"}))
            await agent.send(clock_query=pb.ClockQuery())
            assert (await agent.read()).HasField("clock_reply")  # so the batch is in the queue
            if has_left:
                await agent.__aexit__(None, None, None)
            async with agent_of(collector, agent_id=AGENT, epoch=8, spooled_epochs=[7]) as later:
                assert not later.welcome.durable
                assert not later.welcome.HasField("log_positions")
                await later.declare(TOY)
                await later.send(batch=plain(1, 8, {"app": "7"}))
                assert await acked(later) == [(8, 1, 1)]
        assert collector.rows("SELECT epoch, seq FROM batch") == [{"epoch": 8, "seq": 1}]


async def test_a_welcome_waits_for_the_commit_that_is_under_way(start: Start) -> None:
    is_inserting, may_commit = threading.Event(), threading.Event()

    def hold(step: Step) -> None:
        if step is Step.ROWS_INSERTED:
            is_inserting.set()
            may_commit.wait(20)

    async with start(steps=hold) as collector, agent_of(collector, agent_id=AGENT) as agent:
        await agent.declare(TOY)
        await agent.send(batch=plain(1, 7, {"app": "1"}))
        await asyncio.to_thread(is_inserting.wait, 20)
        later = agent_of(collector, agent_id=AGENT, epoch=8, spooled_epochs=[7])
        welcomed = asyncio.create_task(later.__aenter__())
        done, _ = await asyncio.wait([welcomed], timeout=0.3)
        assert not done
        may_commit.set()
        await welcomed
        assert of_welcome(later) == (7, 1, {"app": "1"})
        await later.__aexit__(None, None, None)


async def test_once_something_could_not_be_stored_nothing_later_of_its_stream_is(collector: Collector) -> None:
    """It would leave a gap before the positions that come with it; the agent sends all of it again, in order."""
    async with agent_of(collector, agent_id=AGENT):
        session = Session(host=collector.hosts.list()[0], epoch=7, epochs=())
    entry = Hole(host_id=1, epoch=7, first=1, last=1, outcome=Outcome.DROPPED, reason="spool_age", received_at_us=0)
    session.receive([Receipt(entry, Verdict.DURABLE)])
    assert not session.is_void
    session.receive([Receipt(entry, Verdict.UNAVAILABLE, "the disk is full")])
    assert session.is_void
    assert session.ending is not None
