"""Gaps in words and as bands of charts."""

from datetime import datetime, timedelta

import pytest
from collector.web.serving import NOW
from watchdesk_collector.web.gaps import Gap, build_bands, build_lines, summary
from watchdesk_collector.web.queries import Slots

SLOTS = Slots(since=NOW - timedelta(hours=1), width=timedelta(seconds=10), count=361)
ALL = ("cpu", "memory", "load", "network")


def gap(measurement: str, *, ago: float, lasted: float, cause: str = "host_down", reason: str = "", now: datetime = NOW) -> Gap:
    since = now - timedelta(minutes=ago)
    return Gap(measurement=measurement, since=since, until=since + timedelta(minutes=lasted), cause=cause, reason=reason)


def words(*gaps: Gap) -> list[str]:
    return [line.words for line in build_lines(gaps, now=NOW, limit=20)]


def test_what_all_samplers_miss_together_is_one_sentence() -> None:
    assert words(*(gap(name, ago=38, lasted=4) for name in ALL)) == ["no samples 13:24–13:28: the host was down"]


def test_samplers_of_other_intervals_end_a_little_apart() -> None:
    late = Gap(measurement="disk", since=NOW - timedelta(minutes=38) + timedelta(seconds=9), until=NOW - timedelta(minutes=34), cause="host_down")
    assert len(words(*(gap(name, ago=38, lasted=3.9) for name in ALL), late)) == 1


def test_one_sampler_alone_is_named() -> None:
    assert words(gap("disk", ago=10, lasted=1, cause="agent_overload")) == ["no disk samples 13:52:07–13:53:07: the agent did not get to it in time"]


def test_causes_that_follow_each_other_are_told_apart_newest_first() -> None:
    told = words(*(gap(name, ago=38, lasted=4) for name in ALL), *(gap(name, ago=34, lasted=3, cause="agent_down") for name in ALL))
    assert told == ["no samples 13:28–13:31: the agent was not running", "no samples 13:24–13:28: the host was down"]


def test_the_collectors_reason_is_told() -> None:
    assert words(*(gap(name, ago=9, lasted=5, cause="rejected", reason="too large") for name in ALL)) == [
        "no samples 13:53–13:58: the collector refused them (too large)"
    ]


def test_what_is_still_open_has_no_end() -> None:
    assert words(*(gap(name, ago=25, lasted=25, cause="silent") for name in ALL)) == ["no samples since 13:37: nothing is heard of the host"]


def test_another_day_is_named() -> None:
    assert words(*(gap(name, ago=15 * 60, lasted=120) for name in ALL)) == ["no samples 19 Nov 23:02–20 Nov 01:02: the host was down"]


def test_a_cause_of_a_newer_agent_is_shown_as_it_is() -> None:
    assert words(*(gap(name, ago=38, lasted=4, cause="eclipse") for name in ALL)) == ["no samples 13:24–13:28: eclipse"]


def test_a_band_reaches_over_the_slots_of_its_gap_and_no_further_than_the_chart() -> None:
    inside, earlier, other = gap("cpu", ago=30, lasted=5), gap("cpu", ago=70, lasted=15), gap("disk", ago=30, lasted=5)
    bands = build_bands([inside, earlier, other], "cpu", SLOTS)
    assert [(band.start, band.end) for band in bands] == [(0.0, 30.0), (180.0, 210.0)]
    assert bands[1].words == "no samples 13:32–13:37: the host was down"


def test_what_could_not_be_seen_is_no_band_and_neighbours_are_one() -> None:
    tiny = [gap("cpu", ago=30, lasted=0.05), *(gap("cpu", ago=20 - number / 6, lasted=0.1, cause="agent_overload") for number in range(6))]
    assert [(round(band.start), round(band.end)) for band in build_bands(tiny, "cpu", SLOTS)] == [(240, 246)]


@pytest.mark.parametrize(
    ("ago", "summed"),
    [
        ((), ""),
        ((30,), "no samples 13:32–13:37: the host was down"),
        ((50, 40, 30), "no samples 13:32–13:37: the host was down, and 2 more gaps"),
    ],
)
def test_a_legend_tells_the_newest_gap_and_counts_the_others(ago: tuple[float, ...], summed: str) -> None:
    assert summary(build_bands([gap("cpu", ago=one, lasted=5) for one in ago], "cpu", SLOTS)) == summed
