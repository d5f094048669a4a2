"""Gaps as people see them: bands in charts, and sentences. Pure.

Before it: `queries.gaps`. After it: `drawing` and the JSON of `api.series`, which draw bands, and the host's page, which lists sentences.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from watchdesk_collector.web.queries import Slots
from watchdesk_collector.web.words import plural

BECAUSE: Mapping[str, str] = {
    "agent_down": "the agent was not running",
    "host_down": "the host was down",
    "agent_overload": "the agent did not get to it in time",
    "network_cut": "the network was cut, and they are on their way",
    "collector_down": "the collector was down, and they are on their way",
    "spool_overflow": "the spool had no room to keep them until they could be sent",
    "rejected": "the collector refused them",
    "silent": "nothing is heard of the host",
    "suspend": "the host slept",
    "clock_step": "the clock was set",
    "failure": "the sampler failed",
    "absent": "there was nothing to measure any more",
}
_FEW = 3  # measurements that are named; when more are missing at once, it is the host's samples that are
_TOGETHER = timedelta(seconds=15)  # samplers with other intervals begin and end a gap a little apart
_TO_THE_SECOND = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch without samples of one measurement."""

    measurement: str
    since: datetime
    until: datetime
    cause: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A gap in a chart, in units of its slots from its left edge."""

    start: float
    end: float
    gap: Gap
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapLine:
    """A gap of several measurements at once, in words."""

    since: datetime
    until: datetime
    cause: str
    words: str


def build_bands(gaps: Iterable[Gap], measurement: str, slots: Slots) -> tuple[Band, ...]:
    """Those of a measurement that reach into the slots; what is narrower than half a slot could not be seen."""
    own = sorted((gap for gap in gaps if gap.measurement == measurement), key=lambda gap: gap.since)
    bands = []
    for gap in _joined(own, within=slots.width):
        start, end = ((at - slots.since) / slots.width for at in (gap.since, gap.until))
        start, end = max(start, 0.0), min(end, float(slots.count - 1))
        if end - start >= 0.5:
            bands.append(Band(start=start, end=end, gap=gap, words=_sentence(gap, slots.until)))
    return tuple(bands)


def summary(bands: Sequence[Band]) -> str:
    """For a legend: the newest gap in words, and how many more there are; empty without any."""
    if not bands:
        return ""
    more = len(bands) - 1
    return bands[-1].words + (f", and {plural(more, 'more gap')}" if more else "")


def build_lines(gaps: Sequence[Gap], *, now: datetime, limit: int) -> tuple[GapLine, ...]:
    """The newest first."""
    lines = []
    for cause, of_cause in groupby(sorted(gaps, key=lambda gap: (gap.cause, gap.since)), key=lambda gap: gap.cause):
        for together in _clusters(list(of_cause)):
            since, until = min(gap.since for gap in together), max(gap.until for gap in together)
            whole = Gap(measurement="", since=since, until=until, cause=cause, reason=next((gap.reason for gap in together if gap.reason), ""))
            words = _sentence(whole, now, of=_few_measurements(together))
            lines.append(GapLine(since=since, until=until, cause=cause, words=words))
    return tuple(sorted(lines, key=lambda line: line.since, reverse=True)[:limit])


def _joined(gaps: Iterable[Gap], *, within: timedelta) -> list[Gap]:
    """Neighbours of one cause as one, when they are closer together than could be told apart."""
    found: list[Gap] = []
    for gap in gaps:
        if found and found[-1].cause == gap.cause and gap.since - found[-1].until < within:
            found[-1] = replace(found[-1], until=max(found[-1].until, gap.until))
        else:
            found.append(gap)
    return found


def _clusters(gaps: Sequence[Gap]) -> list[list[Gap]]:
    """Gaps in the order of their beginnings, split where one begins well after all before it have ended."""
    found: list[list[Gap]] = []
    until = None
    for gap in gaps:
        if until is None or gap.since - until > _TOGETHER:
            found.append([])
        found[-1].append(gap)
        until = gap.until if until is None else max(until, gap.until)
    return found


def _few_measurements(gaps: Iterable[Gap]) -> Sequence[str]:
    """Whose samples are missing, unless it is nearly all that a host takes."""
    measurements = sorted({gap.measurement for gap in gaps})
    return measurements if len(measurements) <= _FEW else ()


def _sentence(gap: Gap, now: datetime, *, of: Sequence[str] = ()) -> str:
    """Write "no samples 03:10–03:14: the host was down"."""
    what = f"no {_listed(of)} samples" if of else "no samples"
    because = BECAUSE.get(gap.cause, gap.cause)
    return f"{what} {_stretch(gap, now)}: {because}{f' ({gap.reason})' if gap.reason else ''}"


def _stretch(gap: Gap, now: datetime) -> str:
    written = "%H:%M:%S" if gap.until - gap.since < _TO_THE_SECOND else "%H:%M"
    since, until = gap.since.astimezone(UTC), gap.until.astimezone(UTC)
    day = "" if since.date() == now.astimezone(UTC).date() else "%d %b "
    other_day = "" if since.date() == until.date() else "%d %b "
    if gap.cause == "silent":
        return f"since {since:{day + written}}"
    return f"{since:{day + written}}–{until:{other_day + written}}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
