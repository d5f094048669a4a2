"""What the status page shows, worked out from what was read. Pure.

Before it: `live`, which reads hosts, alerts and history. After it: the template. Invariant: problems come first, and what is not known is shown as
not known, never as good.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from watchdesk_collector.clock import from_us
from watchdesk_collector.model import Host
from watchdesk_collector.ops.alerts import Alert
from watchdesk_collector.ops.severity import Severity
from watchdesk_collector.web.drawing import Run, SlotState, bar, spark
from watchdesk_collector.web.queries import Row, Slots
from watchdesk_collector.web.words import clock_words, plural

MAX_ALERTS = 50  # firing alerts beyond these show in the states of their hosts, and on their pages
MAX_PROBES = 100  # probes that are up beyond these are on their hosts' pages alone
_FRESHEST_SLOTS = 2  # a value older than this many slots of a trend is not "now"
_LEAST_PROBE_PATIENCE = timedelta(minutes=2)

SpanValues = Sequence[float | None]


class HostState(StrEnum):
    """Worst first."""

    CRITICAL = "critical"
    SILENT = "silent"
    WARNING = "warning"
    UP = "up"


class ProbeState(StrEnum):
    """Worst first."""

    DOWN = "down"
    NO_DATA = "no data"
    UP = "up"


_HOST_RANK = {state: rank for rank, state in enumerate(HostState)}
_PROBE_RANK = {state: rank for rank, state in enumerate(ProbeState)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """Values per host id and slot, shares from 0 to 1."""

    cpu: Mapping[int, SpanValues]
    memory: Mapping[int, SpanValues]
    disk: Mapping[int, SpanValues]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A small picture and the value it ends with."""

    latest: float | None
    path: str
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRow:
    """One line of the list of hosts; `reason` says in a few words why it isn't simply up."""

    name: str
    state: HostState
    reason: str
    clock: str  # how far off, when it is flagged
    last_seen_at: datetime
    cpu: Trend
    memory: Trend
    disk: Trend


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRow:
    """One probe of one host. `uptime` is the share of attempts in 24 hours that succeeded, None without any."""

    host: str
    probe: str
    kind: str
    target: str
    state: ProbeState
    error: str
    latency_s: float | None
    certificate_expires_s: float | None
    uptime: float | None
    bar: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The overall state, in words. `state` is the worst there is."""

    state: HostState
    text: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """All that the template needs."""

    at: datetime
    headline: Headline
    hosts: tuple[HostRow, ...]
    probes: tuple[ProbeRow, ...]
    firing: tuple[Alert, ...]
    recent: tuple[Alert, ...]
    notice: str  # what could not be read, empty when all could

    @property
    def shown_firing(self) -> tuple[Alert, ...]:
        return self.firing[:MAX_ALERTS]

    @property
    def shown_probes(self) -> tuple[ProbeRow, ...]:
        """All that are not up, and others while there is room."""
        return tuple(probe for index, probe in enumerate(self.probes) if index < MAX_PROBES or probe.state is not ProbeState.UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReadings:
    """What was read of the outside world at `at`."""

    at: datetime
    hosts: Sequence[Host]
    firing: Sequence[Alert]
    recent: Sequence[Alert]
    trends: Trends
    probes: Sequence[Row]
    probe_slots: Sequence[Row]
    probe_grid: Slots
    silent_after_s: float
    notice: str


def build_status(readings: StatusReadings) -> StatusView:
    """Hosts and probes sorted worst first, then by name; alerts as they come: worst first, resolved ones newest first."""
    hosts = build_hosts(readings)
    probes = build_probes(readings)
    return StatusView(
        at=readings.at,
        headline=build_headline(hosts, probes),
        hosts=tuple(hosts),
        probes=tuple(probes),
        firing=tuple(readings.firing),
        recent=tuple(readings.recent),
        notice=readings.notice,
    )


def build_hosts(readings: StatusReadings) -> list[HostRow]:
    alerts_by_host: dict[int, list[Alert]] = defaultdict(list)
    for alert in readings.firing:
        alerts_by_host[alert.host_id].append(alert)
    rows = [_build_host(host, alerts_by_host[host.host_id], readings) for host in readings.hosts]
    return sorted(rows, key=lambda row: (_HOST_RANK[row.state], row.name))


def build_probes(readings: StatusReadings) -> list[ProbeRow]:
    """Probes of hosts that are known; history may still hold those of removed ones."""
    names = {host.host_id: host.name for host in readings.hosts}
    slots_by_probe: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in readings.probe_slots:
        slots_by_probe[row["host_id"], row["probe"]].append(row)
    latest = {(row["host_id"], row["probe"]): row for row in readings.probes}
    keys = [key for key in latest.keys() | slots_by_probe.keys() if key[0] in names]
    rows = [_build_probe(names[key[0]], key[1], latest.get(key), slots_by_probe[key], readings) for key in keys]
    return sorted(rows, key=lambda row: (_PROBE_RANK[row.state], row.host, row.probe))


def build_headline(hosts: Sequence[HostRow], probes: Sequence[ProbeRow]) -> Headline:
    """One sentence, and the counts behind it."""
    states = Counter(host.state for host in hosts)
    down = sum(probe.state is ProbeState.DOWN for probe in probes)
    troubled = len(hosts) - states[HostState.UP]
    if not hosts:
        return Headline(state=HostState.UP, text="No host yet", detail="")
    if troubled:
        verb = "needs" if troubled == 1 else "need"
        text = f"{troubled} of {plural(len(hosts), 'host')} {verb} attention"
        counts = [f"{states[state]} {state}" for state in HostState if states[state] and state is not HostState.UP]
        return Headline(state=min(states, key=_HOST_RANK.__getitem__), text=text, detail=", ".join([*counts, *_down(down)]))
    if down:
        text = f"{plural(down, 'probe')} {'is' if down == 1 else 'are'} down"
        return Headline(state=HostState.WARNING, text=text, detail=f"{plural(len(hosts), 'host')} up")
    up = [plural(len(hosts), "host"), *([plural(len(probes), "probe")] if probes else [])]
    return Headline(state=HostState.UP, text="Everything is up", detail=", ".join(up))


def host_state(host: Host, firing: Iterable[Alert], *, at: datetime, silent_after_s: float) -> HostState:
    """Silence outranks alerts: without samples their conditions are only the last known ones."""
    if (at - host.last_seen_at).total_seconds() > silent_after_s:
        return HostState.SILENT
    severities = {alert.severity for alert in firing}
    if Severity.CRITICAL in severities:
        return HostState.CRITICAL
    return HostState.WARNING if Severity.WARNING in severities else HostState.UP


def slot_states(rows: Iterable[Row], grid: Slots) -> list[SlotState]:
    """The state of each slot of the grid; without an attempt in it there is no data."""
    states = [SlotState.NO_DATA] * grid.count
    for row in rows:
        if 0 <= row["slot"] < grid.count:
            states[row["slot"]] = _slot_state(row["attempts"], row["successes"])
    return states


def _build_host(host: Host, firing: Sequence[Alert], readings: StatusReadings) -> HostRow:
    state = host_state(host, firing, at=readings.at, silent_after_s=readings.silent_after_s)
    return HostRow(
        name=host.name,
        state=state,
        reason=_reason(state, firing),
        clock=f"clock {clock_words(host.clock_offset_s)}" if host.clock_is_off else "",
        last_seen_at=host.last_seen_at,
        cpu=_build_trend(readings.trends.cpu.get(host.host_id, ())),
        memory=_build_trend(readings.trends.memory.get(host.host_id, ())),
        disk=_build_trend(readings.trends.disk.get(host.host_id, ())),
    )


def _reason(state: HostState, firing: Sequence[Alert]) -> str:
    if state is HostState.SILENT or not firing:
        return ""
    worst, *others = firing
    return worst.rule + (f" and {len(others)} more" if others else "")


def _build_trend(values: SpanValues) -> Trend:
    fresh = [value for value in values[-_FRESHEST_SLOTS:] if value is not None]
    return Trend(latest=fresh[-1] if fresh else None, path=spark(values), width=max(len(values) - 1, 1))


def _build_probe(host: str, probe: str, latest: Row | None, slots: Sequence[Row], readings: StatusReadings) -> ProbeRow:
    attempts = sum(row["attempts"] for row in slots)
    state = ProbeState.NO_DATA if latest is None else _probe_state(latest, readings.at)
    return ProbeRow(
        host=host,
        probe=probe,
        kind=latest["kind"] if latest else "",
        target=latest["target"] if latest else "",
        state=state,
        error=latest["error"] if latest and state is ProbeState.DOWN else "",
        latency_s=latest["latency_seconds"] if latest and state is ProbeState.UP else None,
        certificate_expires_s=latest["certificate_expires_seconds"] if latest else None,
        uptime=sum(row["successes"] for row in slots) / attempts if attempts else None,
        bar=bar(slot_states(slots, readings.probe_grid)),
    )


def _probe_state(latest: Row, at: datetime) -> ProbeState:
    """Three missed turns, judged by the pace so far, are no data."""
    attempts = latest["attempts"]
    pace = timedelta(microseconds=(latest["last_at_us"] - latest["first_at_us"]) / max(attempts - 1, 1))
    if attempts > 1 and at - from_us(latest["last_at_us"]) > max(3 * pace, _LEAST_PROBE_PATIENCE):
        return ProbeState.NO_DATA
    return ProbeState.UP if latest["success"] else ProbeState.DOWN


def _slot_state(attempts: int, successes: int) -> SlotState:
    if successes == attempts:
        return SlotState.UP
    return SlotState.PARTIAL if successes else SlotState.DOWN


def _down(count: int) -> list[str]:
    return [f"{plural(count, 'probe')} down"] if count else []
