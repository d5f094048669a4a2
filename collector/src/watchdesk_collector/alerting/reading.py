"""Reads what one threshold rule has to look at: one SELECT over all hosts, which leaves at home every series that is of no interest.

Of interest are series with a sample that fires, and those that the rule remembers (pending or firing); all samples of these come back, in event time,
so that `step` sees what it would have seen of the whole stream. A host whose clock is off is read in the collector's time: its stamps are shifted by
how far its clock was ahead when it was compared last, otherwise its alerts would come late or, behind the cursor, never.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import pyarrow as pa
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.alerting.meaning import increase_column, increased, sql
from watchdesk_collector.alerting.rules import Condition
from watchdesk_collector.alerting.step import Sample, Series
from watchdesk_collector.clock import from_us
from watchdesk_collector.model import Host

TOLERATED_OFFSET_S = 2.0  # below it, grace covers what a clock is off
ROWS_AT_A_TIME = 10_000


class Reader(Protocol):
    """What alerting needs of history."""

    def query(
        self,
        sql: str,
        params: Sequence[object] = (),
        *,
        tables: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pa.Table: ...

    def catalogue(self) -> Sequence[Measurement]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """(after, until], in the collector's time."""

    after_us: int
    until_us: int


def read_samples(reader: Reader, condition: Condition, *, span: Span, tracked: Sequence[str], shifts_us: Mapping[int, int]) -> Iterator[Sample]:
    """Samples of the series of interest, oldest first. `tracked` are fingerprints; `shifts_us` is by host, for hosts whose clock is off."""
    shifts = [0, *shifts_us.values()]
    table = reader.query(
        samples_sql(condition),
        [list(shifts_us), list(shifts_us.values()), span.after_us, span.until_us, list(tracked)],
        tables=[condition.measurement],
        since=from_us(span.after_us - max(shifts)) - timedelta(microseconds=_lookback_us(condition)),
        until=from_us(span.until_us - min(shifts)),
    )
    for batch in table.to_batches(max_chunksize=ROWS_AT_A_TIME):
        yield from _samples(batch, condition)


def shifts_us(hosts: Sequence[Host]) -> dict[int, int]:
    """By how much to shift the stamps of hosts whose clock is off, in whole seconds so that the grid stays whole."""
    return {host.host_id: -round(host.clock_offset_s) * 1_000_000 for host in hosts if abs(host.clock_offset_s) > TOLERATED_OFFSET_S}


def samples_sql(condition: Condition) -> str:
    """The SELECT. **Shapes**: _fingerprint, host_id, _at_us, _fires, _clears, _value, labels of `by`, facts. Names that begin with _ are ours."""
    return f"""
WITH shifts AS (
    SELECT unnest($1::BIGINT[]) AS host_id, unnest($2::BIGINT[]) AS _shift_us
),
shifted AS (
    SELECT measured.*, epoch_us(measured.ts) + coalesce(shifts._shift_us, 0) AS _at_us
    FROM {condition.measurement} AS measured LEFT JOIN shifts USING (host_id)
),
{_increases(condition)}
judged AS (
    {_judged_windows(condition) if condition.over_us else _judged_samples(condition)}
)
SELECT * FROM judged
WHERE _fingerprint IN (SELECT _fingerprint FROM judged WHERE _fires) OR _fingerprint IN (SELECT unnest($5::VARCHAR[]))
ORDER BY _at_us, _fingerprint, _value
"""  # noqa: S608 names are of the catalogue, texts are quoted by `meaning.sql`, the rest are parameters


def _judged_samples(condition: Condition) -> str:
    keys = _keys(condition)
    return f"""
    SELECT {_fingerprint(condition)} AS _fingerprint, {keys}, _at_us,
        ({sql(condition.when)}) IS TRUE AS _fires,
        {_clears(condition)} AS _clears,
        CAST({sql(condition.value)} AS DOUBLE) AS _value
        {_facts(condition, "{0}")}
    FROM counted
    WHERE _at_us > $3 AND _at_us <= $4 AND {_where(condition)}"""  # noqa: S608 names are of the catalogue, texts are quoted by `meaning.sql`, the rest are parameters


def _judged_windows(condition: Condition) -> str:
    """Windows (start, end], known by their end; the range holds whole windows alone."""
    over_us, keys = condition.over_us, _keys(condition)
    return f"""
    SELECT {_fingerprint(condition)} AS _fingerprint, {keys}, _end_us AS _at_us,
        ({sql(condition.when)}) IS TRUE AS _fires,
        {_clears(condition)} AS _clears,
        CAST({sql(condition.value)} AS DOUBLE) AS _value
        {_facts(condition, "arg_max({0}, _at_us)")}
    FROM (SELECT *, ((_at_us + {over_us - 1}) // {over_us}) * {over_us} AS _end_us FROM counted)
    WHERE _at_us > $3 AND _at_us <= $4 AND {_where(condition)}
    GROUP BY _end_us, {keys}"""  # noqa: S608 names are of the catalogue, texts are quoted by `meaning.sql`, the rest are parameters


def _increases(condition: Condition) -> str:
    """Adds to each sample by how much the counters in question grew since the one before it. A counter that fell has started anew from nothing."""
    counters = sorted({name for node in (condition.when, condition.clear, condition.value) if node is not None for name in increased(node)})
    if not counters:
        return "counted AS (SELECT * FROM shifted),"
    columns = ",\n        ".join(
        f"""CASE WHEN _at_us - lag(_at_us) OVER series <= {condition.over_us} THEN
            CASE WHEN "{name}" >= lag("{name}") OVER series THEN "{name}" - lag("{name}") OVER series ELSE "{name}" END
        ELSE 0 END AS "{increase_column(name)}\""""
        for name in counters
    )
    partition = ", ".join(["host_id", *(f'"{label}"' for label in condition.labels)])
    return f"""counted AS (
    SELECT *, {columns}
    FROM shifted
    WINDOW series AS (PARTITION BY {partition} ORDER BY _at_us)
),"""  # noqa: S608 names are of the catalogue, texts are quoted by `meaning.sql`, the rest are parameters


def _fingerprint(condition: Condition) -> str:
    parts = ["CAST(host_id AS VARCHAR)", *(f"coalesce(\"{name}\", '')" for name in condition.by)]
    return parts[0] if len(parts) == 1 else f"concat_ws(chr(31), {', '.join(parts)})"


def _keys(condition: Condition) -> str:
    return ", ".join(["host_id", *(f'"{name}"' for name in condition.by)])


def _where(condition: Condition) -> str:
    return "TRUE" if condition.where is None else f"({sql(condition.where)})"


def _clears(condition: Condition) -> str:
    return f"({sql(condition.when)}) IS FALSE" if condition.clear is None else f"({sql(condition.clear)}) IS TRUE"


def _facts(condition: Condition, form: str) -> str:
    return "".join(f''', {form.format(f'"{name}"')} AS "{name}"''' for name in condition.facts)


def _lookback_us(condition: Condition) -> int:
    """How far before the range samples matter: an increase needs the sample before its first."""
    return condition.over_us


def _samples(batch: pa.RecordBatch, condition: Condition) -> Iterator[Sample]:
    for row in batch.to_pylist():
        labels = {name: row[name] or "" for name in condition.by}
        yield Sample(
            series=Series(fingerprint=row["_fingerprint"], host_id=row["host_id"], labels=labels),
            at_us=row["_at_us"],
            fires=row["_fires"],
            clears=row["_clears"],
            value=row["_value"],
            facts={name: row[name] for name in condition.facts},
        )
