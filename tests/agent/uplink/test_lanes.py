"""Which batch goes next: live samples, log lines in their order, then what an outage kept back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import FakeClock
from watchdesk_agent.spool import Spool, SpoolConfig
from watchdesk_agent.uplink import Introduction, Tally
from watchdesk_agent.uplink.conversation import Conversation
from watchdesk_proto.v1 import ingest_pb2 as pb

LIVE, BACKFILL = pb.LANE_LIVE, pb.LANE_BACKFILL
WHO = Introduction(agent_id="7b8b4a3e-2a44-4b5c-9d53-5f3c9a1f4a10", host="web-1", boot_id="b", agent_version="0")


class Line:
    """A conversation with nobody: what is due is taken down, and answered by hand."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.spool = Spool(folder / "spool.db", config=SpoolConfig(), epoch=1, clock=self.clock)
        self.conversation = Conversation(introduction=WHO, spool=self.spool, clock=self.clock, tally=Tally(), compare=lambda _: None)

    def append(self, *, samples: int = 0, lines: int = 0) -> None:
        payloads = [pb.Batch().SerializeToString()] * (samples + lines)
        assert self.spool.append(payloads, declarations={}, positions={}, ordered=lines)

    def welcome(self, *, max_in_flight: int) -> None:
        limits = pb.Limits(max_batch_bytes=100_000, max_in_flight=max_in_flight)
        self.conversation.take(pb.StreamResponse(welcome=pb.Welcome(limits=limits)))

    def sent(self) -> "list[tuple[int, pb.Lane.ValueType]]":
        """Everything that is due now."""
        found = []
        while requests := self.conversation.due():
            found += [(request.batch.seq, request.batch.lane) for request in requests if request.HasField("batch")]
        return found

    def ack(self, *seqs: int) -> None:
        ranges = [pb.SeqRange(first=seq, last=seq) for seq in seqs]
        self.conversation.take(pb.StreamResponse(ack=pb.Ack(acked=[pb.EpochRanges(epoch=1, ranges=ranges)])))


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.spool.close()


def test_log_lines_go_after_live_samples_and_before_backfill(line: Line) -> None:
    line.append(samples=2, lines=2)  # 1 to 4
    line.clock.advance(3600)
    line.append(samples=1)
    line.welcome(max_in_flight=16)
    assert line.sent() == [(5, LIVE), (3, BACKFILL), (4, BACKFILL), (1, BACKFILL), (2, BACKFILL)]


def test_fresh_log_lines_wait_until_the_older_ones_of_the_other_lane_are_acked(line: Line) -> None:
    """The collector keeps the order within a lane alone."""
    line.append(lines=2)
    line.clock.advance(3600)
    line.append(lines=1)
    line.welcome(max_in_flight=16)
    assert line.sent() == [(1, BACKFILL), (2, BACKFILL)]
    line.append(samples=1)
    assert line.sent() == [(4, LIVE)], "samples do not wait"
    line.ack(1)
    assert line.sent() == []
    line.ack(2)
    assert line.sent() == [(3, LIVE)]


def test_log_lines_leave_room_for_live_samples_when_an_outage_kept_them_back(line: Line) -> None:
    line.append(lines=8)
    line.clock.advance(3600)
    line.welcome(max_in_flight=4)
    assert line.sent() == [(1, BACKFILL), (2, BACKFILL), (3, BACKFILL)]
    line.append(samples=2)
    assert line.sent() == [(9, LIVE)]
