"""Making a snapshot of history into what a worker process can read, whoever it runs as.

Parquet files are named relative to the folder that the worker starts in: a process that became nobody may look below its working folder, while the
state folder above it stays shut. Hot rows, hosts and catalog are written as uncompressed Parquet into memory files (memfd), which the worker inherits
open: DuckDB then reads everything one way, without the 80 ms that loading pyarrow would add. Invariant: a worker is handed nothing but these.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.history import Snapshot, gaps, hot_name
from watchdesk_collector.history.generation import SQL_TYPES
from watchdesk_collector.history.relation import literal, no_rows
from watchdesk_collector.sql.job import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Views for the worker, and what must stay open until it has started."""

    views: Sequence[View]
    files: Sequence[str]  # as the views call them
    memory_files: Sequence[FileIO]

    @property
    def descriptors(self) -> tuple[int, ...]:
        return tuple(file.fileno() for file in self.memory_files)

    def close(self) -> None:
        for file in self.memory_files:
            file.close()


def hand_over(snapshot: Snapshot, folder: Path, *, by_name_only: Sequence[Measurement]) -> Handover:
    """Write what is in memory into memory files and say how to read everything. `by_name_only` are tables that are there without a row."""
    derived = {name: relation.replace(_as_written(folder), "") for name, relation in snapshot.derived.items()}
    held = {"hosts": snapshot.hosts, "catalog": snapshot.catalog, **snapshot.relations} | {
        hot_name(name): table.hot for name, table in snapshot.tables.items()
    }
    memory_files = {name: _memory_file(name, rows) for name, rows in held.items()}
    sealed = [_below(folder, path) for table in snapshot.tables.values() for path in table.files]
    return Handover(
        views=[
            *(View(name, f"FROM read_parquet('{_path(file)}')") for name, file in memory_files.items()),
            *(View(name, table.relation.replace(_as_written(folder), "")) for name, table in snapshot.tables.items()),
            *(View(name, select) for name, select in derived.items()),
            *(View(name, gaps.empty(name)) for name in gaps.NAMES if by_name_only and name not in derived),
            *(_empty_view(measurement) for measurement in by_name_only if measurement.name not in snapshot.tables),
        ],
        files=[*map(_path, memory_files.values()), *sealed],
        memory_files=list(memory_files.values()),
    )


def _memory_file(name: str, rows: pa.Table) -> FileIO:
    file = FileIO(os.memfd_create(name), "r+")
    with os.fdopen(os.dup(file.fileno()), "wb") as sink:
        pq.write_table(rows, sink, compression="none", use_dictionary=_text_columns(rows), write_statistics=False)  # type: ignore[arg-type]  # the stubs know bool alone
    return file


def _text_columns(rows: pa.Table) -> list[str]:
    """Numbers that differ in each row only grow by a dictionary."""
    return [field.name for field in rows.schema if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))]


def _path(file: FileIO) -> str:
    return f"/proc/self/fd/{file.fileno()}"


def _as_written(folder: Path) -> str:
    """How the paths of files in the folder begin in a relation's SQL."""
    return literal(folder)[1:-1] + os.sep


def _below(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder))


def _empty_view(measurement: Measurement) -> View:
    columns = [("ts", "TIMESTAMPTZ"), ("host", "VARCHAR"), ("host_id", "BIGINT")]
    columns += [(column.name, SQL_TYPES[column.type]) for column in measurement.columns]
    return View(measurement.name, no_rows(columns))
