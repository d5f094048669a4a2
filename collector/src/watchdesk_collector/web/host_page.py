"""What a host's page shows, worked out from what was read. Pure.

Before it: `reading`, which asks history, and the status view, which knows alerts and probes. After it: the template.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdesk_collector.model import Host
from watchdesk_collector.ops.alerts import Alert
from watchdesk_collector.web.drawing import Drawing, draw, time_format
from watchdesk_collector.web.gaps import Gap, GapLine, build_lines, summary
from watchdesk_collector.web.queries import Row
from watchdesk_collector.web.series import Chart
from watchdesk_collector.web.status import HostRow, ProbeRow, StatusView
from watchdesk_collector.web.words import NOTHING, clock_words, duration, in_unit

_MAX_GAP_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A stretch of time that charts can be shown over, ending now; `width` and `count` of its slots make some 300 points."""

    id: str
    words: str
    width: timedelta
    count: int


RANGES: tuple[Range, ...] = (
    Range(id="1h", words="last hour", width=timedelta(seconds=10), count=360),
    Range(id="6h", words="last 6 hours", width=timedelta(seconds=90), count=240),
    Range(id="24h", words="last 24 hours", width=timedelta(minutes=5), count=288),
    Range(id="7d", words="last 7 days", width=timedelta(minutes=30), count=336),
    Range(id="30d", words="last 30 days", width=timedelta(hours=2), count=360),
)
DEFAULT_RANGE = RANGES[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One log line that is an error or worse."""

    at: datetime
    source: str
    severity: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReadings:
    """What history and ops.db say of one host, but for its charts."""

    facts: Row | None
    logs: Sequence[LogLine]
    recent: Sequence[Alert]
    gaps: Sequence[Gap]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """One series below its chart, with the value it ends with, in words."""

    name: str
    colour: int
    role: str
    latest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """One chart: its picture, its legend, and a sentence for who cannot see it."""

    id: str
    title: str
    drawing: Drawing
    legend: tuple[LegendEntry, ...]
    spoken: str
    value_labels: tuple[str, ...]
    time_labels: tuple[str, ...]
    left_out: int
    gap_words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """All that the template needs, but for the charts. `facts` are pairs of a name and a value."""

    at: datetime
    row: HostRow
    facts: tuple[tuple[str, str], ...]
    firing: tuple[Alert, ...]
    recent: tuple[Alert, ...]
    probes: tuple[ProbeRow, ...]
    logs: tuple[LogLine, ...]
    gaps: tuple[GapLine, ...]


def range_of(id: str) -> Range | None:
    return next((candidate for candidate in RANGES if candidate.id == id), None)


def build_host(host: Host, row: HostRow, status: StatusView, readings: HostReadings) -> HostView:
    """The host's part of the status, and what is shown of it alone."""
    return HostView(
        at=status.at,
        row=row,
        facts=build_facts(host, readings.facts, at=status.at),
        firing=tuple(alert for alert in status.firing if alert.host_id == host.host_id),
        recent=tuple(readings.recent),
        probes=tuple(probe for probe in status.probes if probe.host == host.name),
        logs=tuple(readings.logs),
        gaps=build_lines(readings.gaps, now=status.at, limit=_MAX_GAP_LINES),
    )


def build_facts(host: Host, facts: Row | None, *, at: datetime) -> tuple[tuple[str, str], ...]:
    """What stands still or changes slowly; a value that is not known is left out."""
    known = facts or {}
    found = (
        ("Operating system", known.get("os")),
        ("Kernel", _joined(known.get("kernel"), known.get("architecture"))),
        ("Running for", duration(known.get("uptime_seconds"))),
        ("Agent", host.agent_version),
        ("Clock", clock_words(host.clock_offset_s)),
        ("Known for", duration((at - host.first_seen_at).total_seconds())),
    )
    return tuple((name, value) for name, value in found if value and value != NOTHING)


def build_panel(chart: Chart) -> PanelView:
    """A chart as the template draws it."""
    unit = chart.panel.unit
    drawing = draw(chart)
    legend = tuple(
        LegendEntry(name=series.name, colour=series.colour, role=series.role, latest=in_unit(series.latest, unit)) for series in chart.series
    )
    written_as = time_format(chart.slots.until - chart.slots.since)
    return PanelView(
        id=chart.panel.id,
        title=chart.panel.title,
        drawing=drawing,
        legend=legend,
        spoken=f"{chart.panel.title}; latest values: " + ", ".join(f"{entry.name} {entry.latest}".strip() for entry in legend),
        value_labels=tuple(in_unit(value, unit) for value in drawing.axis.labels),
        time_labels=tuple(at.strftime(written_as) for at in drawing.times),
        left_out=chart.left_out,
        gap_words=summary(chart.bands),
    )


def _joined(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)
