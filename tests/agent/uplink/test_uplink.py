"""What the uplink owes: every batch reaches the collector, whatever happens to streams, tokens and write-ahead logs."""

import logging
import threading
import time
from collections.abc import Callable

import grpc
import pytest
import trustme
from agent.uplink.conftest import EPOCH, LEVEL, Rig
from watchdesk_agent.clock import to_us
from watchdesk_agent.schedule import Cadence
from watchdesk_agent.spool import SpoolError, TheirPositions
from watchdesk_proto.v1 import ingest_pb2 as pb

DEADLINE_S = 20.0


def wait_until(done: Callable[[], bool]) -> None:
    """For what happens inside the agent, where nothing signals it."""
    deadline_s = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not done():
        assert time.monotonic() < deadline_s
        pause.wait(0.01)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_batch_is_declared_sent_acked_and_leaves_the_spool_when_it_is_checkpointed(rig: Rig) -> None:
    rig.append(2, note="héllo")
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2])
    rig.append()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2, 3])
    assert [request.WhichOneof("message") for request in rig.collector.heard] == ["hello", "clock_query", "declaration", "batch", "batch", "batch"]
    assert list(rig.collector.stored[EPOCH, 1].tables[0].texts) == ["héllo"]
    wait_until(lambda: rig.spool.next_unsent(after=0) is None)
    assert rig.spool.stats().batches == 3
    rig.collector.checkpoint()
    wait_until(lambda: rig.spool.stats().batches == 0)
    assert (rig.tally.sent_batches, rig.tally.acked_batches, rig.tally.rejected_batches) == (3, 3, 0)


def test_a_rejected_batch_is_told_counted_and_blocks_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.collector.behaviour.rejects = lambda batch: f"dated in the future by {batch.seq} s" if batch.seq in (2, 3) else None
    rig.append(4)
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 4])
    wait_until(lambda: rig.tally.acked_batches == 2)
    assert rig.spool.next_unsent(after=0) is None
    assert rig.tally.rejected_batches == 2
    assert len([message for message in warnings(caplog) if "dated in the future" in message]) == 1


def test_no_more_batches_are_under_way_than_the_collector_allows(rig: Rig) -> None:
    rig.collector.behaviour.holds_acks = True
    rig.connect()
    rig.collector.wait_for(lambda: len(rig.collector.heard) == 2)
    rig.append(9)
    rig.collector.wait_for(lambda: len(rig.collector.batches()) == 4)
    rig.collector.checkpoint()  # an answer that is no ack opens no window
    rig.collector.release_acks()
    rig.collector.wait_for(lambda: len(rig.stored_seqs()) == 9)
    assert rig.tally.sent_batches == 9


def test_fresh_batches_overtake_a_backlog(rig: Rig) -> None:
    rig.append(12, note="old")
    rig.clock.advance(3600)
    rig.collector.behaviour.holds_acks = True
    rig.connect()
    rig.collector.wait_for(lambda: len(rig.collector.batches()) == 3)
    rig.append(1, note="fresh")
    rig.collector.wait_for(lambda: len(rig.collector.batches()) == 4)
    rig.collector.release_acks()
    rig.collector.wait_for(lambda: len(rig.stored_seqs()) == 13)
    lanes = [(batch.seq, batch.lane) for batch in rig.collector.batches()]
    assert lanes[:3] == [(seq, pb.LANE_BACKFILL) for seq in (1, 2, 3)]
    assert lanes[3] == (13, pb.LANE_LIVE), "a quarter of the window is kept for what is fresh"
    assert lanes[4:] == [(seq, pb.LANE_BACKFILL) for seq in range(4, 13)]


def test_what_was_spooled_just_before_a_connection_is_live(rig: Rig) -> None:
    rig.append(2)
    rig.clock.advance(60)
    rig.append(2)
    rig.clock.advance(10)
    rig.connect()
    rig.collector.wait_for(lambda: len(rig.stored_seqs()) == 4)
    assert [(batch.seq, batch.lane) for batch in rig.collector.batches()] == [
        (3, pb.LANE_LIVE),
        (4, pb.LANE_LIVE),
        (1, pb.LANE_BACKFILL),
        (2, pb.LANE_BACKFILL),
    ]


def test_what_the_collector_holds_of_the_logs_is_compared_before_anything_is_sent(rig: Rig) -> None:
    rig.collector.log_positions = pb.LogPositions(epoch=99, seq=3, values={"app.log": "12"})
    rig.append(1)
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1])
    assert rig.compared == [TheirPositions(epoch=99, seq=3, values={"app.log": "12"})]


def test_a_comparison_that_cannot_be_kept_ends_the_stream_and_is_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    def cannot(_: object) -> None:
        raise SpoolError("cannot keep the log positions that the collector holds; make room in state_dir")

    rig.compare = cannot
    rig.append(1)
    rig.connect()
    rig.collector.wait_for(lambda: rig.collector.connections >= 2)
    assert [message for message in warnings(caplog) if "make room in state_dir" in message]
    assert rig.collector.batches() == []


def test_after_an_outage_everything_arrives_and_the_outage_is_told_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.append(2)
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2])
    wait_until(lambda: rig.tally.acked_batches == 2)
    rig.collector.stop()
    rig.append(5)
    wait_until(lambda: bool(warnings(caplog)))
    assert not rig.tally.is_connected
    rig.collector.start()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2, 3, 4, 5, 6, 7])
    assert len(rig.collector.batches()) == 7, "what was acked is not sent again"
    assert len(set(warnings(caplog))) == len(warnings(caplog))


def test_acked_batches_are_sent_again_when_the_collector_lost_its_write_ahead_log(rig: Rig) -> None:
    rig.append(2)
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2])
    rig.collector.checkpoint()
    wait_until(lambda: rig.spool.stats().batches == 0)
    rig.append(2)
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2, 3, 4])
    wait_until(lambda: rig.tally.acked_batches == 4)
    rig.collector.stop()
    rig.collector.lose_write_ahead_log()
    assert rig.stored_seqs() == [1, 2]
    rig.collector.start()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2, 3, 4])


def test_a_restarted_agent_sends_what_its_earlier_self_left_under_the_earlier_epoch(rig: Rig) -> None:
    rig.append(2)
    rig.restart_agent(epoch=EPOCH + 1)
    rig.append(1)
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2] and rig.stored_seqs(EPOCH + 1) == [1])
    [hello] = rig.collector.hellos()
    assert (hello.epoch, list(hello.spooled_epochs)) == (EPOCH + 1, [EPOCH, EPOCH + 1])
    assert [request.declaration.schema_id for request in rig.collector.heard if request.HasField("declaration")] == [LEVEL.schema_id]


def test_batches_that_were_given_up_are_declared(rig: Rig) -> None:
    rig.append(3)
    rig.clock.advance(8 * 86400)
    rig.append(1)
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [4] and len(rig.collector.dropped) == 3)
    assert rig.collector.dropped == {(EPOCH, seq): "spool_age" for seq in (1, 2, 3)}
    rig.collector.checkpoint()
    wait_until(lambda: rig.spool.holes() == [])


def test_a_batch_that_is_dropped_on_its_way_is_no_hole_before_it_is_answered(rig: Rig) -> None:
    rig.collector.behaviour.holds_acks = True
    rig.append(2)
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2])
    rig.clock.advance(8 * 86400)
    rig.append(1)
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2, 3])
    assert [(hole.first, hole.last) for hole in rig.spool.holes()] == [(1, 2)]
    assert rig.collector.dropped == {}


def test_a_hello_tells_what_is_sampled_and_what_is_unsent(rig: Rig) -> None:
    slots = [1_767_225_600_000_000 + second * 1_000_000 for second in range(3)]
    rig.spool.begin([Cadence(sampler="level", interval_us=1_000_000, first_us=slots[0])], boot_id="a", booted_us=0)
    rig.append(2)
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1, 2])
    hello = rig.collector.hellos()[0]
    assert [(one.name, one.interval_us, one.since_us) for one in hello.samplers] == [("level", 1_000_000, slots[0])]
    assert [(one.epoch, one.seqs.first, one.seqs.last) for one in hello.backlog] == [(EPOCH, 1, 2)]


def test_a_batch_larger_than_the_collector_takes_is_given_up_and_blocks_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.append(1, note="x" * 200_000)
    rig.append(1, note="small")
    rig.connect()
    rig.collector.wait_for(lambda: rig.stored_seqs() == [2] and rig.collector.dropped == {(EPOCH, 1): "too_large"})
    assert rig.spool.stats().dropped_batches == 1
    assert any("ingest.max_batch_bytes" in message for message in warnings(caplog))


def test_a_refused_token_is_told_once_and_the_right_one_is_taken_up(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.token_file.write_text("wrong")
    rig.append(1)
    rig.connect()
    rig.collector.wait_for(lambda: rig.collector.connections >= 3)
    assert [message for message in warnings(caplog) if str(rig.token_file) in message] == warnings(caplog)
    assert len(warnings(caplog)) == 1
    rig.token_file.write_text("secret")
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1])


def test_a_name_that_belongs_to_another_agent_is_told_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.collector.behaviour.refusal = (grpc.StatusCode.ALREADY_EXISTS, "the name web-1 belongs to another agent; rename one of them")
    rig.connect()
    rig.collector.wait_for(lambda: rig.collector.connections >= 3)
    [warning] = warnings(caplog)
    assert "rename one of them" in warning
    rig.collector.behaviour.refusal = None
    wait_until(lambda: rig.tally.is_connected)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("token", None, "collector.token_file"),
        ("token", "", "does not hold a token"),
        ("ca.pem", None, "collector.ca_file"),
        ("ca.pem", "no PEM", "holds no PEM certificate"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_the_remedy(
    rig: Rig, caplog: pytest.LogCaptureFixture, file: str, content: str | None, told: str
) -> None:
    path = rig.folder / file
    right = path.read_text()
    path.unlink() if content is None else path.write_text(content)
    rig.append(1)
    rig.connect()
    wait_until(lambda: bool(warnings(caplog)))
    assert told in warnings(caplog)[0]
    path.write_text(right)
    rig.collector.wait_for(lambda: rig.stored_seqs() == [1])


def test_a_collector_whose_certificate_another_authority_signed_gets_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    trustme.CA().cert_pem.write_to_path(str(rig.ca_file))
    rig.append(1)
    rig.connect()
    wait_until(lambda: bool(warnings(caplog)))
    assert "CERTIFICATE_VERIFY_FAILED" in warnings(caplog)[0]
    assert rig.collector.connections == 0


def test_the_clock_offset_is_how_far_this_host_is_ahead(rig: Rig) -> None:
    rig.collector.behaviour.clock_us = lambda: to_us(rig.clock.now()) - 2_500_000
    rig.connect()
    wait_until(lambda: rig.tally.clock_offset_s == 2.5)


def test_a_stop_is_prompt_whatever_the_uplink_is_doing(rig: Rig) -> None:
    rig.connect()
    wait_until(lambda: rig.tally.is_connected)
    started_s = time.monotonic()
    rig.disconnect()
    rig.collector.stop()
    rig.connect()
    rig.disconnect()
    assert time.monotonic() - started_s < 5.0
