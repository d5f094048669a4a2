"""Who was expected when, and who is absent now: what history needs to know to tell what is missing. Plain data, and pure functions of it.

Before it: `ops.attendance`, which keeps what agents say of themselves. After it: `history`, whose `gap` and `completeness` show it. Invariant: an
absence is open, that is, it may yet be filled; what is missing for good is told by agents as rows of `missed`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from watchdesk_collector.clock import to_us
from watchdesk_collector.model import Host

SILENT_US = 60_000_000  # who was heard since then is not absent: what was sampled last is on its way

SILENT = "silent"  # nothing is heard; whether the agent, the host or the network fails is not known before it returns
NETWORK_CUT = "network_cut"  # the agent has what is missing, and could not send it
COLLECTOR_DOWN = "collector_down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often a host takes a measurement, from its first slot on, until it no longer does. Proven: the host has told something of it."""

    host_id: int
    measurement: str
    interval_us: int
    since_us: int
    until_us: int | None = None
    is_proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Batches that an agent had and the collector did not when the agent connected, first to last; in them are slots of this stretch of time."""

    host_id: int
    epoch: int
    first: int
    last: int
    since_us: int
    until_us: int

    def after(self, seq: int) -> "Backlog":
        """What is left of it from a seq on, for batches are spooled at equal distances in time."""
        share = (seq - self.first) / (self.last - self.first + 1)
        since_us = self.since_us + round(share * (self.until_us - self.since_us))
        return Backlog(host_id=self.host_id, epoch=self.epoch, first=seq, last=self.last, since_us=since_us, until_us=self.until_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """When the collector itself did not run."""

    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """All that is known at one moment."""

    now_us: int
    cadences: Sequence[Cadence] = ()
    backlogs: Sequence[Backlog] = ()
    downtimes: Sequence[Downtime] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A stretch of which nothing is here yet, whatever the measurement."""

    host_id: int
    since_us: int
    until_us: int
    cause: str


FirstMissing = Callable[[Backlog], int | None]


def is_silent(host: Host, attendance: Attendance) -> bool:
    """A host that is watched, and was not heard for a while."""
    return host.removed_at is None and attendance.now_us - to_us(host.last_seen_at) > SILENT_US


def absences(hosts: Iterable[Host], attendance: Attendance, first_missing: FirstMissing) -> list[Absence]:
    """Of silent hosts since they were heard last, and of hosts that returned what they have not sent yet."""
    open_stretches = [*_silences(hosts, attendance), *_unsent(attendance, first_missing)]
    return [part for stretch in open_stretches for part in _divided(stretch, attendance.downtimes)]


def _silences(hosts: Iterable[Host], attendance: Attendance) -> Iterator[Absence]:
    started_us = max((downtime.until_us for downtime in attendance.downtimes), default=0)
    for host in hosts:
        if is_silent(host, attendance):
            since_us = to_us(host.last_seen_at)
            has_had_time = attendance.now_us - started_us > SILENT_US
            until_us = attendance.now_us if has_had_time else max(since_us, started_us)
            yield Absence(host_id=host.host_id, since_us=since_us, until_us=until_us, cause=SILENT)


def _unsent(attendance: Attendance, first_missing: FirstMissing) -> Iterator[Absence]:
    for backlog in attendance.backlogs:
        is_old = attendance.now_us - backlog.since_us > SILENT_US
        seq = first_missing(backlog) if is_old else None
        if seq is not None:
            left = backlog.after(seq)
            yield Absence(host_id=left.host_id, since_us=left.since_us, until_us=left.until_us, cause=NETWORK_CUT)


def _divided(absence: Absence, downtimes: Iterable[Downtime]) -> Iterator[Absence]:
    """While the collector was down, that is the cause."""
    at_us = absence.since_us
    for downtime in downtimes:
        since_us, until_us = max(at_us, downtime.since_us), min(absence.until_us, downtime.until_us)
        if since_us >= until_us:
            continue
        yield from _part(absence, at_us, since_us, absence.cause)
        yield from _part(absence, since_us, until_us, COLLECTOR_DOWN)
        at_us = until_us
    yield from _part(absence, at_us, absence.until_us, absence.cause)


def _part(absence: Absence, since_us: int, until_us: int, cause: str) -> Iterator[Absence]:
    if since_us < until_us:
        yield Absence(host_id=absence.host_id, since_us=since_us, until_us=until_us, cause=cause)
