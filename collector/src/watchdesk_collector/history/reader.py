"""Reading history: our own queries in this process, and snapshots for a process of its own.

Invariant: manifest, hot tables and rows are read in one transaction; files that leave the manifest meanwhile stay on disk for minutes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.history import catalogue, generation, hosts, manifest, relation
from watchdesk_collector.history.catalogue import BATCH
from watchdesk_collector.history.errors import UnknownMeasurement
from watchdesk_collector.history.instance import Instance, reading
from watchdesk_collector.history.model import ParquetFile, Snapshot, Span, TableSnapshot, hot_name
from watchdesk_collector.history.rows import signed, unsigned
from watchdesk_collector.model import Host

HASH = "SELECT content_hash FROM ({rows}) WHERE host_id = ? AND epoch = ? AND seq = ? AND outcome = 'stored'"


class Reader:
    """Reads one open instance; each call has its own cursor and may come from any thread."""

    def __init__(self, *, instance: Instance, root: Path, measurements: Mapping[str, Measurement], list_hosts: Callable[[], Sequence[Host]]) -> None:
        self._instance = instance
        self._root = root
        self._measurements = measurements
        self._list_hosts = list_hosts

    def query(self, sql: str, params: Sequence[object], *, tables: Sequence[str], span: Span) -> pa.Table:
        known = self._known(tables)
        everyone = self._list_hosts()
        with self._instance.reader() as cursor:
            cursor.register("known_host", hosts.names(everyone))
            if "hosts" in sql:
                cursor.register("hosts", hosts.to_arrow(everyone))
            if "catalog" in sql:
                cursor.register("catalog", catalogue.to_arrow(list(self._measurements.values())))
            with reading(cursor):
                views = self._views(cursor, known, span)
                return cursor.sql(_with(views, sql), params=list(params) or None).to_arrow_table()

    def _known(self, tables: Sequence[str]) -> list[Measurement]:
        for name in tables:
            if name not in self._measurements and name not in ("hosts", "catalog"):
                raise UnknownMeasurement(f"there is no measurement {name!r}")
        return [self._measurements[name] for name in tables if name in self._measurements]

    def _views(self, cursor: duckdb.DuckDBPyConnection, measurements: Sequence[Measurement], span: Span) -> dict[str, str]:
        """Name → SELECT, as of the cursor's transaction."""
        names = [measurement.name for measurement in measurements]
        hot, files = hot_tables(cursor, names), self._files(cursor, names, span)
        return {
            measurement.name: relation.select(
                measurement,
                [*hot[measurement.name], *relation.file_sources(files[measurement.name], self._root)],
                hosts="known_host",
                span=span,
            )
            for measurement in measurements
        }

    def _files(self, cursor: duckdb.DuckDBPyConnection, names: Sequence[str], span: Span) -> dict[str, list[ParquetFile]]:
        files: dict[str, list[ParquetFile]] = {name: [] for name in names}
        for file in manifest.read(cursor, names, span):
            files[file.measurement].append(file)
        return files

    def content_hash(self, host_id: int, epoch: int, seq: int) -> int | None:
        """Looks among hot rows first: what comes twice mostly came a moment ago."""
        params = [signed([number]).item() for number in (host_id, epoch, seq)]
        with self._instance.reader() as cursor, reading(cursor):
            hot = hot_tables(cursor, [BATCH.name])[BATCH.name]
            sealed = relation.file_sources(manifest.read(cursor, [BATCH.name]), self._root)
            for sources in (hot, sealed):
                if sources and (found := cursor.execute(HASH.format(rows=relation.rows_of(sources)), params).fetchall()):
                    return None if found[0][0] is None else unsigned(found[0][0])
        return None

    def snapshot(self, tables: Sequence[str], span: Span, columns: Collection[str] | None) -> Snapshot:
        known = [_narrowed(measurement, columns) for measurement in self._known(tables)]
        names = [measurement.name for measurement in known]
        with self._instance.reader() as cursor, reading(cursor):
            files = self._files(cursor, names, span)
            hot = hot_tables(cursor, names)
            snapshots = {
                measurement.name: self._snapshot_of(cursor, measurement, hot[measurement.name], files[measurement.name], span)
                for measurement in known
            }
        return Snapshot(tables=snapshots, hosts=hosts.to_arrow(self._list_hosts()), catalog=catalogue.to_arrow(list(self._measurements.values())))

    def _snapshot_of(
        self,
        cursor: duckdb.DuckDBPyConnection,
        measurement: Measurement,
        hot: Sequence[str],
        files: Sequence[ParquetFile],
        span: Span,
    ) -> TableSnapshot:
        names = ", ".join(generation.quoted(name) for name in ("ts", "host_id", *(column.name for column in measurement.columns)))
        rows = cursor.sql(f"SELECT {names} FROM ({relation.rows_of(hot)}) WHERE {relation.within('ts', span)}").to_arrow_table()
        sources = [generation.quoted(hot_name(measurement.name)), *relation.file_sources(files, self._root)]
        return TableSnapshot(
            hot=rows,
            files=[self._root / file.path for file in files],
            relation=relation.select(measurement, sources, hosts="hosts", span=span),
        )


def _narrowed(measurement: Measurement, columns: Collection[str] | None) -> Measurement:
    if columns is None:
        return measurement
    return replace(measurement, columns=tuple(column for column in measurement.columns if column.name in columns))


def hot_tables(cursor: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, list[str]]:
    """Measurement → its hot tables, newest first, for only the newest surely has every column."""
    tables: dict[str, list[str]] = {name: [] for name in names}
    for number, measurements in reversed(generation.read_tables(cursor).items()):
        for name in measurements:
            if name in tables:
                tables[name].append(generation.table(name, number))
    return tables


def _with(views: Mapping[str, str], sql: str) -> str:
    """The query over its views. They are never materialized: that would keep its conditions from the scans."""
    if not views:
        return sql
    clauses = ",\n".join(f"{generation.quoted(name)} AS NOT MATERIALIZED (\n{select}\n)" for name, select in views.items())
    return f"WITH {clauses}\nSELECT * FROM (\n{sql}\n)"
