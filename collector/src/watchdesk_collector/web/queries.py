"""The SQL of the pages, all of it: each constant is one query over history, each function runs one and gives plain rows.

Time is cut into slots: whole numbers counted from the start of what is shown, so that a gap is a slot without a row. Parameters: $1 the start in
microseconds, $2 the width of a slot in microseconds, $3 the host where one is meant. `History.query` itself keeps rows outside the range away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from watchdesk_collector.clock import from_us, to_us
from watchdesk_collector.web.deps import HistoryReader

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Equal stretches of time, `count` of them from `since` on."""

    since: datetime
    width: timedelta
    count: int

    @property
    def until(self) -> datetime:
        return self.since + self.width * self.count

    def at(self, index: int) -> datetime:
        return self.since + self.width * index


def slots_up_to(now: datetime, *, width: timedelta, count: int) -> Slots:
    """Slots on the grid of their width (in UTC), the newest of which holds `now`."""
    width_us = width // timedelta(microseconds=1)
    newest_us = to_us(now) // width_us * width_us
    return Slots(since=from_us(newest_us - (count - 1) * width_us), width=width, count=count)


LAST_COMMIT = """
SELECT epoch_us(max(ts)) AS at_us
FROM batch
"""

CPU_TREND = """
SELECT host_id, (epoch_us(ts) - $1) // $2 AS slot, avg(busy_ratio) AS value
FROM cpu
GROUP BY ALL
"""

MEMORY_TREND = """
SELECT host_id, (epoch_us(ts) - $1) // $2 AS slot, avg(used_ratio) AS value
FROM memory
GROUP BY ALL
"""

DISK_TREND = """
SELECT host_id, (epoch_us(ts) - $1) // $2 AS slot, max(used_ratio) AS value
FROM disk
GROUP BY ALL
"""

PROBE_SLOTS = """
SELECT host_id, probe, (epoch_us(ts) - $1) // $2 AS slot, count(*) AS attempts, sum(success)::BIGINT AS successes
FROM probe
WHERE $3 IS NULL OR host_id = $3
GROUP BY ALL
"""

PROBES = """
SELECT host_id,
       probe,
       arg_max(kind, ts) AS kind,
       arg_max(target, ts) AS target,
       count(*) AS attempts,
       epoch_us(min(ts)) AS first_at_us,
       epoch_us(max(ts)) AS last_at_us,
       arg_max(success, ts) AS success,
       arg_max(coalesce(error, ''), ts) AS error,
       median(duration_seconds) FILTER (success = 1) AS latency_seconds,
       arg_max(certificate_expires_seconds, ts) AS certificate_expires_seconds
FROM probe
WHERE $1 IS NULL OR host_id = $1
GROUP BY host_id, probe
"""

HOST_FACTS = """
SELECT os, kernel, architecture, uptime_seconds, clock_offset_seconds, epoch_us(ts) AS at_us
FROM host
WHERE host_id = $1
ORDER BY ts DESC
LIMIT 1
"""

LOG_ERRORS = """
SELECT epoch_us(ts) AS at_us, source, severity, message
FROM log
WHERE host_id = $1 AND severity IN ('error', 'critical')
ORDER BY ts DESC
LIMIT $2
"""


GAPS = """
SELECT measurement, epoch_us(ts) AS since_us, epoch_us(until) AS until_us, cause, reason
FROM gap
WHERE host_id = $1 AND until > to_timestamp($2)
ORDER BY ts
"""


def last_commit_at(history: HistoryReader, *, since: datetime) -> datetime | None:
    """When the newest batch was committed, None when there is none since `since`."""
    [row] = rows_of(history, LAST_COMMIT, [], table="batch", since=since)
    return None if row["at_us"] is None else from_us(row["at_us"])


def trend(history: HistoryReader, sql: str, *, table: str, slots: Slots) -> dict[int, list[float | None]]:
    """One value per slot of each host, None where there is no sample."""
    values: dict[int, list[float | None]] = {}
    for row in rows_of(history, sql, _grid(slots), table=table, since=slots.since):
        if 0 <= row["slot"] < slots.count:
            values.setdefault(row["host_id"], [None] * slots.count)[row["slot"]] = row["value"]
    return values


def probe_slots(history: HistoryReader, *, slots: Slots, host_id: int | None = None) -> Sequence[Row]:
    """Attempts and successes per probe and slot; slots without an attempt are absent."""
    return rows_of(history, PROBE_SLOTS, [*_grid(slots), host_id], table="probe", since=slots.since)


def probes(history: HistoryReader, *, since: datetime, host_id: int | None = None) -> Sequence[Row]:
    """The latest outcome of each probe that was attempted since then."""
    return rows_of(history, PROBES, [host_id], table="probe", since=since)


def host_facts(history: HistoryReader, *, host_id: int, since: datetime) -> Row | None:
    """The newest row about a host itself."""
    return next(iter(rows_of(history, HOST_FACTS, [host_id], table="host", since=since)), None)


def log_errors(history: HistoryReader, *, host_id: int, since: datetime, limit: int) -> Sequence[Row]:
    """The newest log lines that are errors or worse."""
    return rows_of(history, LOG_ERRORS, [host_id, limit], table="log", since=since)


def gaps(history: HistoryReader, *, host_id: int, since: datetime, began_after: datetime) -> Sequence[Row]:
    """Those that reach beyond `since`; the range of history that is read begins with `began_after`."""
    return rows_of(history, GAPS, [host_id, since.timestamp()], table="gap", since=began_after)


def panel_rows(history: HistoryReader, sql: str, *, table: str, slots: Slots, host_id: int) -> Sequence[Row]:
    """What a chart is made of: per slot, and per label where the query has one as `part`."""
    return rows_of(history, sql, [*_grid(slots), host_id], table=table, since=slots.since, until=slots.until)


def rows_of(
    history: HistoryReader, sql: str, params: Sequence[object], *, table: str, since: datetime, until: datetime | None = None
) -> Sequence[Row]:
    rows: Sequence[Row] = history.query(sql, params, tables=[table], since=since, until=until).to_pylist()
    return rows


def _grid(slots: Slots) -> list[object]:
    return [to_us(slots.since), slots.width // timedelta(microseconds=1)]
