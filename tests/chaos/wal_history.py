"""A history as a kill -9 leaves it: sealed and checkpointed data, and a write-ahead log with commits of several hosts, a declaration, a sealing.

`Truth` knows every batch that agents sent, made anew from a seed in each process, and what of it they have been told to forget.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from collector.history.kit import EPOCH, HOST, START, batch, config, hole, host
from fakes import FakeClock
from watchdesk_collector.clock import to_us
from watchdesk_collector.history import History, Recovery
from watchdesk_collector.history.instance import reading
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Hole, Table
from watchdesk_proto.catalogue import Measurement, Type, builtin, gauge, label

LOG = "hot.duckdb.wal"
HOSTS = (HOST, 22, 33)
NAMES = ("agent", "cpu", "disk", "load", "log")
CATALOGUE = tuple(measurement for measurement in builtin() if measurement.name in NAMES)
DECLARED = Measurement(name="queue", help="Declared by an agent.", columns=(label("name", "Which."), gauge("depth", "Waiting.", type=Type.INT64)))
EVERY = {measurement.name: measurement for measurement in (*CATALOGUE, DECLARED)}
TICKS = 3
Words = npt.NDArray[np.int64]


class Truth:
    """All that agents sent, by what became of it before the kill: lists of groups, each group one commit."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._next_seq = dict.fromkeys(HOSTS, 1)
        self._tables: list[tuple[int, Table]] = []  # of all batches, with their host
        self.sealed = [self._group(NAMES) for _ in range(4)]
        self.checkpointed = [self._group(NAMES) for _ in range(2)]
        self.before_declaration = [self._group(NAMES)]
        self.after_declaration = [self._group(EVERY), self._group(EVERY)]
        self.after_sealing = [self._group(EVERY)]
        self.last: list[list[Arrival | Hole]] = [
            [self._batch(HOSTS[1], ("load", "log"), ticks=1)],
            [self._batch(HOSTS[2], ("queue",), ticks=1), self._hole()],
        ]

    @cached_property
    def forgotten(self) -> frozenset[tuple[int, int]]:
        """(host, seq) of what agents were told is checkpointed: they cannot send it again."""
        return frozenset(key_of(entry) for group in (*self.sealed, *self.checkpointed) for entry in group)

    @cached_property
    def entries(self) -> Sequence[Arrival | Hole]:
        stages = (self.sealed, self.checkpointed, self.before_declaration, self.after_declaration, self.after_sealing, self.last)
        return [entry for stage in stages for group in stage for entry in group]

    def rows(self, name: str) -> list[tuple[object, ...]]:
        """(host_id, ts in microseconds, values…) of a measurement, sorted, each as often as it should be there."""
        measurement = EVERY[name]
        rows = [row for host_id, table in self._tables if table.schema_id == measurement.schema_id for row in _rows_of(host_id, table, measurement)]
        return sorted(rows, key=repr)

    def _group(self, names: Sequence[str] | Mapping[str, Measurement]) -> list[Arrival | Hole]:
        return [self._batch(host_id, tuple(names), ticks=TICKS) for host_id in HOSTS]

    def _batch(self, host_id: int, names: Sequence[str], *, ticks: int) -> Arrival:
        seq = self._take_seq(host_id)
        at = START + timedelta(seconds=9 * seq)
        ts = to_us(at) + np.arange(ticks, dtype=np.int64) * 1_000_000
        tables = [self._table(EVERY[name], ts) for name in names]
        self._tables += [(host_id, table) for table in tables]
        return batch(seq, host_id=host_id, epoch=EPOCH + host_id, at=at, tables=tables)

    def _table(self, measurement: Measurement, ts: Words) -> Table:
        words = [ts, *(self._column(column.type, len(ts)) for column in measurement.columns)]
        return Table(schema_id=measurement.schema_id, words=np.stack(words), texts=("part", "another part", "an error that a program wrote"))

    def _column(self, kind: Type, rows: int) -> Words:
        if kind is Type.TEXT:
            return self._rng.integers(0, 3, rows)
        if kind is Type.INT64:
            return self._rng.integers(0, 2**40, rows)
        return np.round(self._rng.random(rows), 4).view(np.int64)

    def _hole(self) -> Hole:
        first, last = self._take_seq(HOST), self._take_seq(HOST)
        return hole(first, last, epoch=EPOCH + HOST)

    def _take_seq(self, host_id: int) -> int:
        self._next_seq[host_id] += 1
        return self._next_seq[host_id] - 1


def key_of(entry: Arrival | Hole) -> tuple[int, int]:
    return entry.host_id, entry.seq if isinstance(entry, Arrival) else entry.first


def _rows_of(host_id: int, table: Table, measurement: Measurement) -> list[tuple[object, ...]]:
    columns: list[list[object]] = [table.words[0].tolist()]
    for words, column in zip(table.words[1:], measurement.columns, strict=True):
        if column.type is Type.TEXT:
            columns.append([table.texts[number] for number in words])
        else:
            columns.append(words.tolist() if column.type is Type.INT64 else words.view(np.float64).tolist())
    return [(host_id, *row) for row in zip(*columns, strict=True)]


def open_history(folder: Path) -> tuple[History, Recovery]:
    """**Errors**: whatever opening raises: each of it is a failed start."""
    history = History(
        path=folder,
        config=config(),
        catalogue=CATALOGUE,
        hosts=lambda: [host(host_id, f"host-{host_id}") for host_id in HOSTS],
        clock=FakeClock(START),
        metrics=Metrics(),
    )
    return history, history.open()


def make_history(folder: Path, truth: Truth) -> None:
    """Write it to `folder` as if its collector had been killed after the last commit."""
    live = folder.with_name("live")
    history, _ = open_history(live)
    _commit(history, truth.sealed)
    history.seal()
    _commit(history, truth.checkpointed)
    history.checkpoint()
    _commit(history, truth.before_declaration)
    with _long_query(history):
        assert history.declare(DECLARED) is None
    _commit(history, truth.after_declaration[:1])
    with _long_query(history):
        history.rotate()
    change = history.export()
    _commit(history, truth.after_declaration[1:])
    assert change is not None
    assert history.apply(change)
    _commit(history, truth.after_sealing)
    _commit(history, truth.last)
    told = {(host_id, seq) for host_id in HOSTS for first, last in history.checkpointed(host_id)[EPOCH + host_id] for seq in range(first, last + 1)}
    assert told == truth.forgotten, json.dumps(sorted(told ^ truth.forgotten))
    subprocess.run(["cp", "-a", live, folder], check=True)  # by another process: this one must not open what it has open in DuckDB
    history._close()


def _commit(history: History, groups: Sequence[Sequence[Arrival | Hole]]) -> None:
    for group in groups:
        store(history, group)


def store(history: History, group: Sequence[Arrival | Hole]) -> None:
    history.commit([entry for entry in group if isinstance(entry, Arrival)], [entry for entry in group if isinstance(entry, Hole)])


@contextmanager
def _long_query(history: History) -> Iterator[None]:
    """In the way of checkpoints as long as it runs: what is declared and rotated meanwhile is in the log alone."""
    with history._store.instance.reader() as cursor, reading(cursor):
        cursor.execute("FROM seq_range").fetchall()
        yield
