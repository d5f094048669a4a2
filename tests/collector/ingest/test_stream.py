import asyncio
import time

import grpc
import grpc.aio
import pytest
from collector.ingest.client import WireAgent, table_of
from collector.ingest.conftest import TOKEN, TOY, Collector, Start
from watchdesk_collector.ingest import create_server
from watchdesk_collector.ingest.config import IngestConfig
from watchdesk_collector.listen import ListenError
from watchdesk_collector.ops.hosts import StillConnected
from watchdesk_proto.catalogue import Measurement, counter
from watchdesk_proto.v1 import ingest_pb2 as pb

NOW_US = int(time.time() * 1e6)


def toys(*levels: float, at_us: int = NOW_US) -> pb.Table:
    return table_of(TOY, [at_us + 1_000_000 * i for i in range(len(levels))], [[f"p{i}" for i in range(len(levels))], levels])


def agent_of(collector: Collector, **kwargs: object) -> WireAgent:
    return WireAgent(collector.address, **({"token": TOKEN, "ca": collector.ca} | kwargs))  # type: ignore[arg-type]


async def acked(agent: WireAgent) -> list[tuple[int, int, int]]:
    answer = await agent.read()
    assert answer.WhichOneof("message") == "ack", answer
    return [(epoch.epoch, r.first, r.last) for epoch in answer.ack.acked for r in epoch.ranges]


async def test_what_is_acked_is_stored(collector: Collector) -> None:
    async with agent_of(collector) as agent:
        await agent.declare(TOY)
        await agent.batch(1, toys(0.25, 0.5))
        assert await acked(agent) == [(7, 1, 1)]
        assert collector.rows("SELECT host, part, level_ratio FROM toy ORDER BY part") == [
            {"host": "web1", "part": "p0", "level_ratio": 0.25},
            {"host": "web1", "part": "p1", "level_ratio": 0.5},
        ]


async def test_a_batch_sent_twice_is_stored_once_and_acked_twice(collector: Collector) -> None:
    async with agent_of(collector) as agent:
        await agent.declare(TOY)
        for _ in range(2):
            await agent.batch(1, toys(0.25))
            assert await acked(agent) == [(7, 1, 1)]
        await agent.batch(2, toys(0.5))
        await agent.batch(2, toys(0.5))
        await acked(agent)
        assert collector.rows("SELECT count(*) AS n FROM toy") == [{"n": 2}]


async def test_other_content_under_a_stored_number_is_told_as_a_cloned_identity(collector: Collector) -> None:
    async with agent_of(collector) as agent:
        await agent.declare(TOY)
        await agent.batch(1, toys(0.25))
        await acked(agent)
        await agent.batch(1, toys(0.75))
        reject = (await agent.read()).reject
        assert (reject.epoch, reject.seq) == (7, 1)
        assert "two agents use one identity" in reject.reason
        assert collector.rows("SELECT level_ratio FROM toy") == [{"level_ratio": 0.25}]


async def test_garbage_is_counted_and_the_stream_goes_on(collector: Collector) -> None:
    async with agent_of(collector) as agent:
        await agent.send_raw(b"\xff\xff\xff\xff")
        await agent.send_raw(b"")
        await agent.declare(TOY)
        await agent.batch(1, toys(0.25))
        assert await acked(agent) == [(7, 1, 1)]
    assert collector.metrics.registry.get_sample_value("watchdesk_ingest_rejects_total", {"kind": "garbage"}) == 2


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (pb.Table(schema_id=TOY.schema_id, rows=2, words=b"\0" * 24), "24 bytes are not 2 rows of 3 columns"),
        (pb.Table(schema_id=TOY.schema_id, rows=0), "0 bytes are not 0 rows"),
        (pb.Table(schema_id=99, rows=1, words=b"\0" * 24), "not declared"),
        (table_of(TOY, [5], [["p"], [0.1]]), "before the year 2000"),
        (table_of(TOY, [NOW_US + 3_600_000_000], [["p"], [0.1]]), "beyond what this collector accepts; set the host's clock"),
        (pb.Table(schema_id=TOY.schema_id, rows=1, words=table_of(TOY, [NOW_US], [["p"], [0.1]]).words, texts=[]), "points outside the batch's 0"),
        (table_of(TOY, [NOW_US], [["x" * (1 << 20)], [0.1]]), "is over this collector's limit"),
    ],
)
async def test_a_bad_batch_is_rejected_with_a_reason_fills_its_place_and_the_stream_goes_on(
    collector: Collector, table: pb.Table, reason: str
) -> None:
    agent = agent_of(collector)
    async with agent:
        await agent.declare(TOY)
        await agent.batch(1, toys(0.5), table)
        reject = (await agent.read()).reject
        assert (reject.epoch, reject.seq) == (7, 1)
        assert reason in reject.reason
        await agent.batch(2, toys(0.25))
        assert await acked(agent) == [(7, 2, 2)]
    async with agent_of(collector, agent_id=agent.agent_id) as again:
        assert [(r.first, r.last) for r in again.welcome.durable[0].ranges] == [(1, 2)]
    assert collector.rows("SELECT count(*) AS n FROM toy") == [{"n": 1}]
    (told,) = collector.rows("SELECT outcome, reason FROM batch WHERE seq = 1")
    assert told["outcome"] == "rejected"
    assert reason in told["reason"]


async def test_what_an_agent_dropped_fills_its_hole_with_the_reason(collector: Collector) -> None:
    async with agent_of(collector) as agent:
        dropped = pb.Dropped(epoch=7, seqs=pb.SeqRange(first=3, last=5), reason="spool_overflow")
        await agent.send(dropped=dropped)
        assert await acked(agent) == [(7, 3, 5)]
        await agent.send(dropped=dropped)
        assert await acked(agent) == [(7, 3, 5)]
    assert collector.rows("SELECT seq, seq_to, outcome, reason FROM batch") == [
        {"seq": 3, "seq_to": 5, "outcome": "dropped", "reason": "spool_overflow"}
    ]


async def test_a_measurement_that_the_collector_does_not_know_becomes_a_table(collector: Collector) -> None:
    extra = Measurement(name="queue", help="A queue.", columns=(counter("jobs_total", "Jobs."),))
    async with agent_of(collector) as agent:
        await agent.declare(extra)
        await agent.batch(1, table_of(extra, [NOW_US], [[41]]))
        assert await acked(agent) == [(7, 1, 1)]
    assert collector.history.query("SELECT jobs_total FROM queue", tables=("queue",)).to_pylist() == [{"jobs_total": 41}]


async def test_a_declaration_that_conflicts_is_refused_and_its_batches_say_why(collector: Collector) -> None:
    other = Measurement(name="toy", help="Not a toy.", columns=(counter("level_ratio", "A counter now."),))
    async with agent_of(collector) as agent:
        await agent.declare(other)
        await agent.batch(1, table_of(other, [NOW_US], [[1]]))
        assert "level_ratio" in (await agent.read()).reject.reason


async def test_a_restarted_collector_still_knows_what_is_durable(start: Start) -> None:
    async with start() as collector:
        agent = agent_of(collector)
        async with agent:
            await agent.declare(TOY)
            await agent.batch(1, toys(0.25))
            await agent.batch(2, toys(0.5))
            while (await acked(agent))[-1][2] != 2:
                pass
    async with start() as collector:
        async with agent_of(collector, agent_id=agent.agent_id, epoch=8, spooled_epochs=[7, 8]) as again:
            assert [(e.epoch, [(r.first, r.last) for r in e.ranges]) for e in again.welcome.durable] == [(7, [(1, 2)])]
        assert collector.rows("SELECT count(*) AS n FROM toy") == [{"n": 2}]


async def test_an_agent_is_told_what_is_checkpointed(collector: Collector) -> None:
    async with agent_of(collector) as agent:
        await agent.declare(TOY)
        await agent.batch(1, toys(0.25))
        await acked(agent)
        await collector.upkeep.round()
        told = (await agent.read()).checkpointed.checkpointed
        assert [(e.epoch, e.ranges[0].first, e.ranges[0].last) for e in told] == [(7, 1, 1)]


async def test_a_clock_is_compared_with_each_query_and_a_slow_one_makes_it_look_no_further_behind(collector: Collector) -> None:
    def now_us(ahead_s: float) -> int:
        return int((time.time() + ahead_s) * 1e6)

    async with agent_of(collector, clock_us=now_us(0)) as agent:
        for ahead_s, is_off in ((30.0, True), (-60.0, True), (-60.0, True), (-60.0, True), (0.0, False), (-20.0, False)):
            await agent.send(clock_query=pb.ClockQuery(agent_us=now_us(ahead_s)))
            assert (await agent.read()).HasField("clock_reply")
            (host,) = collector.hosts.list()
            assert host.clock_is_off is is_off
            if ahead_s == -60.0:
                last = host.clock_offset_s
        assert last == pytest.approx(-60.0, abs=1.5), "three in a row are no accident"


async def test_a_wrong_token_is_refused_with_the_remedy(collector: Collector) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async with agent_of(collector, token="guess"):
            pass
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "agent.token" in (raised.value.details() or "")
    assert collector.hosts.list() == []


async def test_a_second_agent_under_a_taken_name_is_refused_with_the_remedy(collector: Collector) -> None:
    async with agent_of(collector):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async with agent_of(collector):
                pass
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert "watchdesk hosts remove web1" in (raised.value.details() or "")


async def test_a_renamed_host_keeps_its_history(collector: Collector) -> None:
    agent = agent_of(collector)
    async with agent:
        await agent.declare(TOY)
        await agent.batch(1, toys(0.25))
        await acked(agent)
    async with agent_of(collector, agent_id=agent.agent_id, host="web2"):
        assert collector.rows("SELECT host FROM toy") == [{"host": "web2"}]


async def test_a_new_stream_of_an_agent_takes_over_the_old_one(collector: Collector) -> None:
    async with agent_of(collector) as old, agent_of(collector, agent_id=old.agent_id) as new:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await old.read()
        assert raised.value.code() is grpc.StatusCode.ABORTED
        await new.declare(TOY)
        await new.batch(1, toys(0.25))
        assert await acked(new) == [(7, 1, 1)]


async def test_two_running_agents_under_one_identity_are_told_apart_from_a_restart(collector: Collector) -> None:
    async with agent_of(collector, epoch=1) as original, agent_of(collector, agent_id=original.agent_id, epoch=2):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async with agent_of(collector, agent_id=original.agent_id, epoch=1):
                pass
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "two running agents" in (raised.value.details() or "")


@pytest.mark.parametrize("host", ["", "a b", "../etc", "x" * 254, "<script>"])
async def test_a_name_that_is_no_host_name_is_refused(collector: Collector, host: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async with agent_of(collector, host=host):
            pass
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_beyond_loopback_there_is_tls_or_no_start(collector: Collector) -> None:
    with pytest.raises(ListenError, match=r"reachable from other machines and has no TLS; set ingest.tls_cert"):
        create_server(IngestConfig(listen="0.0.0.0:0"), service=None)  # type: ignore[arg-type]


async def test_a_port_in_use_is_one_clear_sentence(collector: Collector) -> None:
    with pytest.raises(ListenError, match="the port is in use"):
        create_server(collector.config, service=None)  # type: ignore[arg-type]


async def test_a_refused_copy_does_not_rename_the_host(collector: Collector) -> None:
    async with agent_of(collector, epoch=1) as original, agent_of(collector, agent_id=original.agent_id, epoch=2):
        with pytest.raises(grpc.aio.AioRpcError):
            async with agent_of(collector, agent_id=original.agent_id, epoch=1, host="copy"):
                pass
        assert [(host.name, host.connected) for host in collector.hosts.list()] == [("web1", True)]


async def test_a_host_can_be_removed_once_its_stream_has_ended(collector: Collector) -> None:
    async with agent_of(collector):
        with pytest.raises(StillConnected):
            collector.hosts.remove("web1")
    async with asyncio.timeout(5):
        while collector.hosts.list()[0].connected:  # noqa: ASYNC110  # the server learns of a closed stream in its own time
            await asyncio.sleep(0.01)
    assert collector.hosts.remove("web1")
