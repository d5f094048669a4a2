"""Reading history: our own queries in this process, and snapshots for a process of its own.

Invariant: manifest, hot tables and rows are read in one transaction; files that leave the manifest meanwhile stay on disk for minutes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.attendance import Attendance, Backlog, absences
from watchdesk_collector.clock import from_us, to_us
from watchdesk_collector.history import catalogue, gaps, generation, hosts, manifest, relation
from watchdesk_collector.history.catalogue import BATCH
from watchdesk_collector.history.errors import UnknownMeasurement
from watchdesk_collector.history.instance import Instance, reading
from watchdesk_collector.history.ledger import Ledger
from watchdesk_collector.history.model import ParquetFile, Snapshot, Span, TableSnapshot, hot_name
from watchdesk_collector.history.rows import signed, unsigned
from watchdesk_collector.model import Host

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HASH = "SELECT content_hash FROM ({rows}) WHERE host_id = ? AND epoch = ? AND seq = ? AND outcome = 'stored'"


class Reader:
    """Reads one open instance; each call has its own cursor and may come from any thread."""

    def __init__(
        self,
        *,
        instance: Instance,
        root: Path,
        measurements: Mapping[str, Measurement],
        ledger: Ledger,
        list_hosts: Callable[[], Sequence[Host]],
        attendance: Callable[[], Attendance],
    ) -> None:
        self._instance = instance
        self._root = root
        self._measurements = measurements
        self._ledger = ledger
        self._list_hosts = list_hosts
        self._attendance = attendance

    def query(self, sql: str, params: Sequence[object], *, tables: Sequence[str], span: Span) -> pa.Table:
        known, span = self._known(tables), _widened(span, tables)
        everyone = self._list_hosts()
        with self._instance.reader() as cursor:
            cursor.register("known_host", hosts.names(everyone))
            if "hosts" in sql:
                cursor.register("hosts", hosts.to_arrow(everyone))
            if "catalog" in sql:
                cursor.register("catalog", catalogue.to_arrow(list(self._measurements.values())))
            with reading(cursor):
                derivation = self._derivation(cursor, tables, everyone)
                for name, rows in derivation.relations.items():
                    cursor.register(name, rows)
                sources = self._sources(cursor, _together(known, [*derivation.missed, *derivation.counted]), span)
                views = {
                    name: relation.select(self._measurements[name], of_measurement, hosts="known_host", span=span)
                    for name, of_measurement in sources.items()
                }
                views |= derivation.views(sources, hosts="known_host", span=span)
                return cursor.sql(_with(views, sql), params=list(params) or None).to_arrow_table()

    def _known(self, tables: Sequence[str]) -> list[Measurement]:
        for name in tables:
            if name not in self._measurements and name not in ("hosts", "catalog", *gaps.NAMES):
                raise UnknownMeasurement(f"there is no measurement {name!r}")
        return [self._measurements[name] for name in tables if name in self._measurements]

    def _sources(self, cursor: duckdb.DuckDBPyConnection, measurements: Sequence[Measurement], span: Span) -> dict[str, list[str]]:
        """Measurement → its hot tables and files, as of the cursor's transaction."""
        names = [measurement.name for measurement in measurements]
        hot, files = hot_tables(cursor, names), self._files(cursor, names, span)
        return {name: [*hot[name], *relation.file_sources(files[name], self._root)] for name in names}

    def _derivation(self, cursor: duckdb.DuckDBPyConnection, tables: Sequence[str], everyone: Sequence[Host]) -> "_Derivation":
        """What `gap` and `completeness` need when they are among the tables."""
        named = [name for name in gaps.NAMES if name in tables]
        if not named:
            return _Derivation(named=(), counted=(), missed=(), relations={}, now=_EPOCH)
        attendance = self._attendance()
        begins_us = manifest.read_begins(cursor)
        relations: dict[str, pa.Table] = {}
        if gaps.GAP in named:
            relations |= gaps.relations_of_gap(attendance.cadences, absences(everyone, attendance, self._first_missing), begins_us)
        if gaps.COMPLETENESS in named:
            relations |= gaps.relations_of_completeness(everyone, attendance, begins_us)
        return _Derivation(
            named=named,
            counted=gaps.counted(attendance.cadences, self._measurements) if gaps.COMPLETENESS in named else (),
            missed=[self._measurements[gaps.MISSED]] if gaps.GAP in named and gaps.MISSED in self._measurements else (),
            relations=relations,
            now=from_us(attendance.now_us),
        )

    def _first_missing(self, backlog: Backlog) -> int | None:
        """The first seq of it that is not durable."""
        durable = self._ledger.durable(backlog.host_id).get(backlog.epoch)
        if durable is None:
            return backlog.first
        return next((first for first, _ in durable.missing(backlog.first, backlog.last)), None)

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
        everyone, span = self._list_hosts(), _widened(span, tables)
        with self._instance.reader() as cursor, reading(cursor):
            derivation = self._derivation(cursor, tables, everyone)
            known = _together([_narrowed(measurement, columns) for measurement in self._known(tables)], derivation.below_narrowed())
            names = [measurement.name for measurement in known]
            files = self._files(cursor, names, span)
            hot = hot_tables(cursor, names)
            snapshots = {
                measurement.name: self._snapshot_of(cursor, measurement, hot[measurement.name], files[measurement.name], span)
                for measurement in known
            }
        sources = {name: [generation.quoted(hot_name(name)), *relation.file_sources(files[name], self._root)] for name in names}
        return Snapshot(
            tables=snapshots,
            hosts=hosts.to_arrow(everyone),
            catalog=catalogue.to_arrow(list(self._measurements.values())),
            relations=derivation.relations,
            derived=derivation.views(sources, hosts="hosts", span=span),
        )

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Derivation:
    """Which of `gap` and `completeness` are wanted, and of what they are made."""

    named: Sequence[str]
    counted: Sequence[Measurement]
    missed: Sequence[Measurement]  # itself alone, or nothing
    relations: Mapping[str, pa.Table]
    now: datetime

    def below_narrowed(self) -> list[Measurement]:
        """Of `missed` every column is needed, of what is only counted none."""
        return [*self.missed, *(_narrowed(measurement, ()) for measurement in self.counted)]

    def views(self, sources: Mapping[str, Sequence[str]], *, hosts: str, span: Span) -> dict[str, str]:
        """Name → SELECT over the relations, `missed` and these sources of measurements."""
        found = {}
        if gaps.GAP in self.named:
            found[gaps.GAP] = gaps.select_gap(hosts=hosts)
        if gaps.COMPLETENESS in self.named:
            rows = {
                measurement: f"SELECT ts, host_id FROM ({relation.rows_of(sources[measurement.name])}) WHERE {relation.within('ts', span)}"
                for measurement in self.counted
            }
            since_us, until_us = to_us(span.since or _EPOCH), to_us(span.until or self.now)
            found[gaps.COMPLETENESS] = gaps.select_completeness(rows, hosts=hosts, since_us=since_us, until_us=until_us)
        return found


def _widened(span: Span, tables: Sequence[str]) -> Span:
    """Hours are counted whole."""
    if gaps.COMPLETENESS not in tables:
        return span
    since = None if span.since is None else from_us(to_us(span.since) // gaps.HOUR_US * gaps.HOUR_US)
    return Span(since, None if span.until is None else from_us((to_us(span.until) // gaps.HOUR_US + 1) * gaps.HOUR_US - 1))


def _together(named: Sequence[Measurement], below: Sequence[Measurement]) -> list[Measurement]:
    """Each once, with the most columns."""
    widest_last = sorted((*below, *named), key=lambda measurement: len(measurement.columns))
    return list({measurement.name: measurement for measurement in widest_last}.values())


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
