"""Which measurements exist, with their columns: built in, declared by agents, kept in the `declared` table.

Invariant: columns are only ever added, at the end; so the number of columns names a version of a measurement's table.
"""

from collections.abc import Sequence
from dataclasses import replace

import duckdb
import pyarrow as pa
from watchdesk_proto.catalogue import Column, Kind, Measurement, Type, gauge, text

from watchdesk_collector.history import gaps

RESERVED = frozenset({"hosts", "catalog", "ops", *gaps.NAMES, "log_position"})  # they mean something else in SQL
NOT_SAMPLED = RESERVED | {"batch"}  # what the collector makes itself
MAX_HELP = 500

BATCH = Measurement(
    name="batch",
    help="What became of each batch; ts is when the collector received it.",
    columns=(
        gauge("epoch", "The agent's start it belongs to: a random number.", type=Type.INT64),
        gauge("seq", "Its number within the epoch; the first, where one row tells of several.", type=Type.INT64),
        gauge("seq_to", "The last number that this row tells of.", type=Type.INT64),
        text("lane", "live, or backfill when it was kept back by an outage; null when nothing came."),
        text("outcome", "stored, rejected (by the collector) or dropped (by the agent)."),
        text("reason", "Why it was rejected or dropped."),
        gauge("content_hash", "Of what a stored batch held; tells a cloned identity.", type=Type.INT64),
        gauge("rows", "Samples in it.", type=Type.INT64),
        gauge("bytes", "Its size on the wire.", type=Type.INT64),
        gauge("sampled_from_seconds", "Time of its first sample, since 1970; null for log lines, which carry times of their own.", unit="seconds"),
        gauge("sampled_to_seconds", "Time of its last sample, since 1970.", unit="seconds"),
    ),
)

CREATE_DECLARED = """
CREATE TABLE IF NOT EXISTS declared (
    measurement VARCHAR, measurement_help VARCHAR, position INTEGER,
    column_name VARCHAR, kind VARCHAR, type VARCHAR, unit VARCHAR, help VARCHAR
)
"""
READ_DECLARED = "SELECT measurement, measurement_help, column_name, kind, type, unit, help FROM declared ORDER BY measurement, position"
ADD_DECLARED = "INSERT INTO declared VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

_CATALOG = pa.schema([(name, pa.string()) for name in ("measurement", "column_name", "kind", "type", "unit", "help", "measurement_help")])


def read_declared(cursor: duckdb.DuckDBPyConnection) -> dict[str, Measurement]:
    """Every measurement that has tables, by name."""
    columns_by_name: dict[str, list[Column]] = {}
    help_by_name: dict[str, str] = {}
    for name, measurement_help, column, kind, type_, unit, help_ in cursor.execute(READ_DECLARED).fetchall():
        help_by_name[name] = measurement_help
        columns_by_name.setdefault(name, []).append(Column(name=column, kind=Kind(kind), type=Type(type_), unit=unit, help=help_))
    return {name: Measurement(name=name, help=help_by_name[name], columns=tuple(columns)) for name, columns in columns_by_name.items()}


def write_declared(cursor: duckdb.DuckDBPyConnection, measurement: Measurement, *, known_columns: int) -> None:
    """Keep the columns from `known_columns` on; one row each."""
    for position, column in enumerate(measurement.columns[known_columns:], start=known_columns):
        row = [measurement.name, measurement.help, position, column.name, column.kind, column.type, column.unit, column.help]
        cursor.execute(ADD_DECLARED, row)


def extend(known: Measurement | None, declared: Measurement) -> Measurement:
    """The measurement with the declared one's new columns at its end; `known` itself when there are none."""
    if known is None:
        return declared
    names = {column.name for column in known.columns}
    added = tuple(column for column in declared.columns if column.name not in names)
    return replace(known, columns=known.columns + added) if added else known


def refusal(declared: Measurement, *, known: Measurement | None, measurements: int, max_measurements: int, max_columns: int) -> str | None:
    """Why a declaration cannot be taken, as a sentence; None when it can."""
    name = declared.name
    if name in RESERVED or (name == BATCH.name and declared != BATCH):
        return f"measurement {name!r} cannot be declared: the name has another meaning in SQL; rename the measurement"
    if not declared.columns:
        return f"measurement {name!r} has no columns"
    if known is None and measurements >= max_measurements:
        return f"measurement {name!r} would be one more than {max_measurements}; remove some from the agents or raise history.max_measurements"
    if (columns := len(extend(known, declared).columns)) > max_columns:
        return f"measurement {name!r} would have {columns} columns, more than {max_columns}; remove some or raise history.max_columns"
    if any(len(text) > MAX_HELP for text in (declared.help, *(column.help for column in declared.columns))):
        return f"measurement {name!r} has a help text of more than {MAX_HELP} characters; shorten it"
    return next((_conflict(name, old, new) for old, new in _pairs(known, declared) if _nature(old) != _nature(new)), None)


def _pairs(known: Measurement | None, declared: Measurement) -> Sequence[tuple[Column, Column]]:
    new_by_name = {column.name: column for column in declared.columns}
    return [(old, new_by_name[old.name]) for old in (known.columns if known else ()) if old.name in new_by_name]


def _nature(column: Column) -> tuple[Kind, Type, str]:
    return column.kind, column.type, column.unit


def _conflict(measurement: str, old: Column, new: Column) -> str:
    return f"{measurement}.{new.name} is declared as {_describe(new)}, but history holds it as {_describe(old)}; give it another name"


def _describe(column: Column) -> str:
    return f"{column.kind} {column.type}{f' in {column.unit}' if column.unit else ''}"


def to_arrow(measurements: Sequence[Measurement]) -> pa.Table:
    """What SQL sees as `catalog`: one row per column."""
    rows = [(m.name, c.name, str(c.kind), str(c.type), c.unit, c.help, m.help) for m in measurements for c in m.columns]
    rows += [(table, column, "derived", kind, "", text, gaps.HELP[table]) for table, column, kind, text in gaps.COLUMNS]
    return pa.Table.from_arrays([pa.array(values, pa.string()) for values in zip(*rows, strict=True)], schema=_CATALOG)
