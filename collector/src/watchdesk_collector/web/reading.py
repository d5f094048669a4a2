"""Asks the outside world for what the pages show: hosts in memory, alerts in ops.db, everything else in history. Blocks: runs on a read thread."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from watchdesk_collector.clock import from_us
from watchdesk_collector.history import HistoryError
from watchdesk_collector.model import Host
from watchdesk_collector.ops import alerts
from watchdesk_collector.web import queries
from watchdesk_collector.web.deps import HistoryReader, WebDeps
from watchdesk_collector.web.gaps import Gap
from watchdesk_collector.web.host_page import HostReadings, LogLine, Range
from watchdesk_collector.web.panels import PANELS, Panel
from watchdesk_collector.web.queries import Row, Slots, slots_up_to
from watchdesk_collector.web.series import Chart, build_chart, from_first_sight, with_bands
from watchdesk_collector.web.status import StatusReadings, Trends

_TREND_WIDTH, _TREND_COUNT = timedelta(minutes=2), 30
_BAR_WIDTH, _BAR_COUNT = timedelta(minutes=30), 48
_BARS_KEPT_FOR = timedelta(minutes=1)
_PROBES_LOOK_BACK = timedelta(hours=1)
_FACTS_LOOK_BACK = timedelta(hours=1)
_LOGS_LOOK_BACK = timedelta(days=1)
_GAPS_LOOK_BACK = timedelta(days=1)
_LONGEST_GAP = timedelta(days=7)  # one that began earlier is not looked for
_MAX_RECENT_ALERTS = 20
_MAX_LOG_LINES = 50


class StatusReader:
    """Six queries for the whole page, however many hosts there are. The 24-hour bars, the dearest and slowest to change, are read once a minute."""

    def __init__(self, *, deps: WebDeps) -> None:
        self._deps = deps
        self._bars_at: datetime | None = None
        self._bars: tuple[Slots, Sequence[Row]] | None = None

    def read(self) -> StatusReadings:
        """When history fails, hosts and alerts are still there, with a notice."""
        at = self._deps.clock.now()
        grid = slots_up_to(at, width=_BAR_WIDTH, count=_BAR_COUNT)
        trends, notice = _NO_TRENDS, _ailment(self._deps)
        probes: Sequence[Row] = ()
        bars: Sequence[Row] = ()
        try:
            trends = self._read_trends(at)
            probes = queries.probes(self._deps.history, since=at - _PROBES_LOOK_BACK)
            grid, bars = self._read_bars(at)
        except HistoryError as error:
            notice = f"History cannot be read: {error}"
        return StatusReadings(
            at=at,
            hosts=self._deps.hosts.list(),
            firing=alerts.firing(self._deps.ops),
            recent=alerts.recent(self._deps.ops, _MAX_RECENT_ALERTS),
            trends=trends,
            probes=probes,
            probe_slots=bars,
            probe_grid=grid,
            silent_after_s=self._deps.config.silent_after,
            notice=notice,
        )

    def _read_trends(self, at: datetime) -> Trends:
        slots = slots_up_to(at, width=_TREND_WIDTH, count=_TREND_COUNT)
        history = self._deps.history
        return Trends(
            cpu=queries.trend(history, queries.CPU_TREND, table="cpu", slots=slots),
            memory=queries.trend(history, queries.MEMORY_TREND, table="memory", slots=slots),
            disk=queries.trend(history, queries.DISK_TREND, table="disk", slots=slots),
        )

    def _read_bars(self, at: datetime) -> tuple[Slots, Sequence[Row]]:
        if self._bars is None or self._bars_at is None or at - self._bars_at > _BARS_KEPT_FOR:
            grid = slots_up_to(at, width=_BAR_WIDTH, count=_BAR_COUNT)
            self._bars = grid, queries.probe_slots(self._deps.history, slots=grid)
            self._bars_at = at
        return self._bars


def _ailment(deps: WebDeps) -> str:
    ailment = deps.ailment()
    return f"New samples are not being stored: {ailment}" if ailment else ""


def read_host(deps: WebDeps, host: Host, now: datetime) -> HostReadings:
    """**Errors**: HistoryError."""
    facts_since = host.last_seen_at - _FACTS_LOOK_BACK
    return HostReadings(
        facts=queries.host_facts(deps.history, host_id=host.host_id, since=facts_since),
        logs=_read_logs(deps.history, host, since=now - _LOGS_LOOK_BACK),
        recent=alerts.recent(deps.ops, _MAX_RECENT_ALERTS, host_id=host.host_id),
        gaps=read_gaps(deps.history, host, since=now - _GAPS_LOOK_BACK),
    )


def read_charts(history: HistoryReader, host: Host, range: Range, now: datetime) -> Sequence[Chart]:
    """One query per panel. Charts without any value are left out: the host has no such thing. **Errors**: HistoryError."""
    slots = slots_up_to(now, width=range.width, count=range.count)
    charts = [_read_chart(history, panel, slots, host.host_id) for panel in PANELS]
    shown = from_first_sight([chart for chart in charts if not chart.is_empty], host.first_seen_at)
    return with_bands(shown, read_gaps(history, host, since=slots.since))


def read_gaps(history: HistoryReader, host: Host, *, since: datetime) -> list[Gap]:
    """Those that reach beyond `since`. **Errors**: HistoryError."""
    rows = queries.gaps(history, host_id=host.host_id, since=since, began_after=since - _LONGEST_GAP)
    return [
        Gap(
            measurement=row["measurement"],
            since=from_us(row["since_us"]),
            until=from_us(row["until_us"]),
            cause=row["cause"],
            reason=row["reason"] or "",
        )
        for row in rows
    ]


def _read_chart(history: HistoryReader, panel: Panel, slots: Slots, host_id: int) -> Chart:
    return build_chart(panel, queries.panel_rows(history, panel.sql, table=panel.table, slots=slots, host_id=host_id), slots)


def _read_logs(history: HistoryReader, host: Host, *, since: datetime) -> Sequence[LogLine]:
    rows = queries.log_errors(history, host_id=host.host_id, since=since, limit=_MAX_LOG_LINES)
    return [LogLine(at=from_us(row["at_us"]), source=row["source"], severity=row["severity"], message=row["message"] or "") for row in rows]


_NO_TRENDS = Trends(cpu={}, memory={}, disk={})
