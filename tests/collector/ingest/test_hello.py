"""What a Hello says of samplers and of what is unsent is believed as far as it can be true."""

import pytest
from watchdesk_collector.ingest.hello import MAX_SAMPLERS, backlogs_of, samplers_of
from watchdesk_collector.ops.attendance import Sampler
from watchdesk_proto.v1 import ingest_pb2 as pb

SECOND = 1_000_000
NOW_US = 1_767_225_600 * SECOND


def sampler(name: str = "cpu", *, interval_us: int = SECOND, since_us: int = NOW_US) -> pb.Sampler:
    return pb.Sampler(name=name, interval_us=interval_us, since_us=since_us)


def backlog(*, epoch: int = 7, first: int = 1, last: int = 9, since_us: int = NOW_US, until_us: int = NOW_US + SECOND) -> pb.Backlog:
    return pb.Backlog(epoch=epoch, seqs=pb.SeqRange(first=first, last=last), since_us=since_us, until_us=until_us)


def test_samplers_are_taken_as_they_are_told() -> None:
    hello = pb.Hello(samplers=[sampler(), sampler("disk", interval_us=10 * SECOND)])
    assert samplers_of(hello, NOW_US) == [
        Sampler(measurement="cpu", interval_us=SECOND, since_us=NOW_US),
        Sampler(measurement="disk", interval_us=10 * SECOND, since_us=NOW_US),
    ]


@pytest.mark.parametrize(
    "told",
    [
        sampler("CPU; DROP"),
        sampler("x" * 64),
        sampler(interval_us=0),
        sampler(interval_us=1),
        sampler(interval_us=2**62),
        sampler(since_us=0),
        sampler(since_us=-1),
        sampler(since_us=NOW_US + 2 * 86_400 * SECOND),
    ],
)
def test_a_sampler_that_cannot_be_is_not_expected(told: pb.Sampler) -> None:
    assert samplers_of(pb.Hello(samplers=[told]), NOW_US) == []


def test_a_flood_of_samplers_is_cut() -> None:
    hello = pb.Hello(samplers=[sampler(f"m{number}") for number in range(10_000)])
    assert len(samplers_of(hello, NOW_US)) == MAX_SAMPLERS


def test_a_backlog_is_of_the_host_that_tells_it() -> None:
    [found] = backlogs_of(pb.Hello(backlog=[backlog()]), 11)
    assert (found.host_id, found.epoch, found.first, found.last, found.since_us, found.until_us) == (11, 7, 1, 9, NOW_US, NOW_US + SECOND)


@pytest.mark.parametrize(
    "told", [backlog(epoch=0), backlog(epoch=2**63), backlog(first=0), backlog(first=10), backlog(since_us=0), backlog(until_us=NOW_US - 1)]
)
def test_a_backlog_that_cannot_be_is_none(told: pb.Backlog) -> None:
    assert backlogs_of(pb.Hello(backlog=[told]), 11) == []
