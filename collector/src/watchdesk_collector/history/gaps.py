"""`gap` and `completeness`: what is missing and why, and how much is there. Derived when they are read, so that they cannot fall behind.

`gap` rests on what agents tell as rows of `missed`, and on who is absent now; `completeness` counts what is stored, and holds it against how often
each host samples. The two meet: what is expected is stored or stands in a gap. Text only, as `relation`.
Invariant: nothing that is missing is told twice, for an agent tells of a slot once and an absence ends where an agent begins to tell.
"""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.attendance import SILENT_US, Absence, Attendance, Cadence, is_silent
from watchdesk_collector.clock import to_us
from watchdesk_collector.history.relation import no_rows
from watchdesk_collector.model import Host

GAP = "gap"
COMPLETENESS = "completeness"
NAMES = (GAP, COMPLETENESS)
MISSED = "missed"  # what agents tell; `gap` rests on it
CADENCE_ROWS, ABSENCE_ROWS, EXPECTED_ROWS = "gap__cadence", "gap__absence", "gap__expected"  # the relations they need beside measurements

HOUR_US = 3_600_000_000
SLOT_US = 100_000  # samplers run no more often
_LAST_US = 2**62
_SQL_TYPES = {"timestamp": "TIMESTAMPTZ", "text": "VARCHAR", "int64": "BIGINT", "float64": "DOUBLE"}

COLUMNS: Sequence[tuple[str, str, str, str]] = (  # table, column, type, help
    (GAP, "ts", "timestamp", "The first slot that is missing."),
    (GAP, "until", "timestamp", "The first slot after the gap."),
    (GAP, "measurement", "text", "Of which samples are missing."),
    (GAP, "expected", "int64", "Slots in the gap."),
    (GAP, "stored", "int64", "Of these, how many are stored: 0."),
    (GAP, "cause", "text", "Why; docs/sql.md lists the causes."),
    (GAP, "reason", "text", "More about the cause, where there is more to say."),
    (COMPLETENESS, "ts", "timestamp", "The beginning of an hour."),
    (COMPLETENESS, "until", "timestamp", "Its end."),
    (COMPLETENESS, "measurement", "text", "Of which samples are counted."),
    (COMPLETENESS, "expected", "int64", "Slots in that hour, up to now, by the sampler's interval."),
    (COMPLETENESS, "stored", "int64", "Of these, how many hold a sample."),
    (COMPLETENESS, "ratio", "float64", "stored divided by expected."),
)
HELP = {
    GAP: "Slots that hold no sample, with the cause; open gaps, which may yet be filled, are among them.",
    COMPLETENESS: "How many of the expected samples are stored, by hour.",
}

_GAP = f"""
SELECT ts, host, host_id, sampler AS measurement,
       ts + to_microseconds(slots * round(interval_seconds * 1e6)::BIGINT) AS until,
       slots AS expected, 0::BIGINT AS stored,
       CASE WHEN cause IN ('overload', 'stale') THEN 'agent_overload' ELSE cause END AS cause, reason
FROM {MISSED}
WHERE interval_seconds IS NOT NULL
UNION ALL
SELECT {{first}} AS ts, host, host_id, measurement, {{past}} AS until, past - first AS expected, 0::BIGINT AS stored, cause, NULL AS reason
FROM (
    SELECT host.host, host.host_id, cadence.measurement, cadence.interval_us, absence.cause,
           (greatest(absence.since_us, cadence.since_us) + cadence.interval_us - 1) // cadence.interval_us AS first,
           (absence.until_us + cadence.interval_us - 1) // cadence.interval_us AS past
    FROM {ABSENCE_ROWS} AS absence
    JOIN {CADENCE_ROWS} AS cadence ON cadence.host_id = absence.host_id AND cadence.is_current AND cadence.is_proven
    JOIN {{hosts}} AS host ON host.host_id = absence.host_id
) AS open
WHERE past > first
"""

# What is stored is grouped and joined by the host's name as well, so that a condition on it reaches the scans of the measurements.
_COMPLETENESS = f"""
SELECT {{hour}} AS ts, host, host_id, measurement, {{next_hour}} AS until, expected, stored, stored / expected AS ratio
FROM (
    SELECT due.host, due.host_id, due.measurement, due.hour,
           sum((due.past_us + due.interval_us - 1) // due.interval_us - (due.first_us + due.interval_us - 1) // due.interval_us)::BIGINT AS expected,
           any_value(due.slots)::BIGINT AS stored
    FROM (
        SELECT era.*, coalesce(stored.slots, 0) AS slots,
               greatest(era.since_us, era.hour * {HOUR_US}) AS first_us,
               least(
                   era.until_us,
                   (era.hour + 1) * {HOUR_US},
                   greatest(era.expected_until_us, coalesce(stored.newest_us + era.interval_us, 0))
               ) AS past_us
        FROM (
            SELECT host.host, cadence.*, expected.until_us AS expected_until_us, unnest(range(
                greatest(cadence.since_us, {{since_us}}) // {HOUR_US},
                (least(cadence.until_us, expected.heard_us, {{until_us}}) + {HOUR_US} - 1) // {HOUR_US}
            )) AS hour
            FROM {CADENCE_ROWS} AS cadence
            JOIN {EXPECTED_ROWS} AS expected ON expected.host_id = cadence.host_id
            JOIN {{hosts}} AS host ON host.host_id = cadence.host_id
        ) AS era
        LEFT JOIN ({{stored}}) AS stored
        ON stored.host_id = era.host_id AND stored.host = era.host AND stored.measurement = era.measurement AND stored.hour = era.hour
        WHERE era.is_proven OR stored.slots IS NOT NULL
    ) AS due
    WHERE due.past_us > due.first_us
    GROUP BY ALL
) AS counted
WHERE expected > 0
"""

_STORED = f"""
SELECT '{{name}}' AS measurement, host.host, sample.host_id, epoch_us(ts) // {HOUR_US} AS hour, {{slots}} AS slots, max(epoch_us(ts)) AS newest_us
FROM ({{rows}}) AS sample JOIN {{hosts}} AS host ON host.host_id = sample.host_id
GROUP BY ALL
"""
_SLOTS_OF_ONE_ROW = "count(*)"
_SLOTS_OF_MANY_ROWS = f"bit_count(bitstring_agg((epoch_us(ts) % {HOUR_US} // {SLOT_US})::INTEGER, 0, {HOUR_US // SLOT_US - 1}))"
_NOTHING_STORED = """
SELECT NULL::VARCHAR AS measurement, NULL::VARCHAR AS host, NULL::BIGINT AS host_id,
       NULL::BIGINT AS hour, NULL::BIGINT AS slots, NULL::BIGINT AS newest_us
WHERE false
"""


def counted(cadences: Iterable[Cadence], known: Mapping[str, Measurement]) -> list[Measurement]:
    """The measurements that `completeness` counts."""
    sampled = {cadence.measurement for cadence in cadences}
    return [measurement for name, measurement in known.items() if name in sampled]


def select_gap(*, hosts: str) -> str:
    """What SQL sees as `gap`, over `missed` and the relations of `relations`."""
    return _GAP.format(hosts=hosts, first=_timestamp("first * interval_us"), past=_timestamp("past * interval_us"))


def select_completeness(rows: Mapping[Measurement, str], *, hosts: str, since_us: int, until_us: int) -> str:
    """What SQL sees as `completeness`, of the hours from the one of `since_us` to that of `until_us`. `rows`: a relation with ts and host_id each."""
    return _COMPLETENESS.format(
        hosts=hosts,
        since_us=since_us,
        until_us=until_us,
        hour=_timestamp(f"hour * {HOUR_US}"),
        next_hour=_timestamp(f"(hour + 1) * {HOUR_US}"),
        stored="UNION ALL".join(_stored(measurement, of_measurement, hosts) for measurement, of_measurement in rows.items()) or _NOTHING_STORED,
    )


def empty(name: str) -> str:
    """A relation with the table's columns and no rows."""
    columns = [(column, _SQL_TYPES[kind]) for table, column, kind, _ in COLUMNS if table == name]
    return no_rows([*columns, ("host", "VARCHAR"), ("host_id", "BIGINT")])


def relations_of_gap(cadences: Iterable[Cadence], absences: Sequence[Absence], begins_us: Mapping[str, int]) -> dict[str, pa.Table]:
    """What `gap` is derived from beside `missed`, as of one moment. `begins_us`: the first slot that retention left, by measurement."""
    absent = {one.host_id for one in absences}
    open_ones = [one for one in cadences if one.host_id in absent and one.until_us is None and one.is_proven]
    return {CADENCE_ROWS: _cadence_rows(open_ones, begins_us), ABSENCE_ROWS: _absence_rows(absences)}


def relations_of_completeness(hosts: Sequence[Host], attendance: Attendance, begins_us: Mapping[str, int]) -> dict[str, pa.Table]:
    """What `completeness` is derived from beside measurements. Its cadences are all that there are, and so serve `gap` as well."""
    return {CADENCE_ROWS: _cadence_rows(attendance.cadences, begins_us), EXPECTED_ROWS: _expected_rows(hosts, attendance)}


def _cadence_rows(cadences: Sequence[Cadence], begins_us: Mapping[str, int]) -> pa.Table:
    return pa.table(
        {
            "host_id": _integers(one.host_id for one in cadences),
            "measurement": pa.array([one.measurement for one in cadences], pa.string()),
            "interval_us": _integers(one.interval_us for one in cadences),
            "since_us": _integers(max(one.since_us, begins_us.get(one.measurement, 0)) for one in cadences),
            "until_us": _integers(_LAST_US if one.until_us is None else one.until_us for one in cadences),
            "is_current": pa.array([one.until_us is None for one in cadences], pa.bool_()),
            "is_proven": pa.array([one.is_proven for one in cadences], pa.bool_()),
        }
    )


def _absence_rows(absences: Sequence[Absence]) -> pa.Table:
    return pa.table(
        {
            "host_id": _integers(one.host_id for one in absences),
            "since_us": _integers(one.since_us for one in absences),
            "until_us": _integers(one.until_us for one in absences),
            "cause": pa.array([one.cause for one in absences], pa.string()),
        }
    )


def _expected_rows(hosts: Sequence[Host], attendance: Attendance) -> pa.Table:
    return pa.table(
        {
            "host_id": _integers(host.host_id for host in hosts),
            "heard_us": _integers(_heard_us(host, attendance) for host in hosts),
            "until_us": _integers(_expected_until_us(host, attendance) for host in hosts),
        }
    )


def _heard_us(host: Host, attendance: Attendance) -> int:
    """Nothing is expected after this."""
    return to_us(host.last_seen_at) if host.removed_at else attendance.now_us


def _expected_until_us(host: Host, attendance: Attendance) -> int:
    """All is expected before this; of what follows, as much as is there: the newest samples are on their way."""
    heard_us = to_us(host.last_seen_at)
    return attendance.now_us if is_silent(host, attendance) else heard_us - SILENT_US


def _stored(measurement: Measurement, rows: str, hosts: str) -> str:
    slots = _SLOTS_OF_MANY_ROWS if measurement.labels else _SLOTS_OF_ONE_ROW
    return _STORED.format(name=measurement.name, rows=rows, hosts=hosts, slots=slots)


def _timestamp(microseconds: str) -> str:
    return f"(TIMESTAMPTZ '1970-01-01 00:00:00+00' + to_microseconds({microseconds}))"


def _integers(values: Iterable[int]) -> "pa.Array[pa.Int64Scalar]":
    return pa.array(list(values), pa.int64())
