"""A history of its own for `bench_size.py`: fed as a collector would, with what it takes on disk at each age. Nothing here is part of the product.

Every ten seconds a batch of each host arrives, hosts in any order; checkpoints and generations come as often as the collector's defaults say.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from walks import SECOND_US, between, values_in
from watchdesk_collector.clock import from_us
from watchdesk_collector.history import History, HistoryConfig
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Lane, Table, host_id_of
from watchdesk_proto.catalogue import Measurement

FLUSH_S, CHECKPOINT_S, GENERATION_S = 10, 60, 600
HOUR_S = 3600.0
DATABASE = "SELECT block_size * used_blocks FROM pragma_database_size()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes per value: of a generation's tables after its last checkpoint (`hot`), of the file that they are in, of the write-ahead log before one.

    CPU is in seconds per million values.
    """

    hot: float
    hot_file: float
    wal: float
    sealed: float
    merged: float
    seal_cpu_s: float
    merge_cpu_s: float


@dataclass(slots=True)
class BenchClock:
    """Goes on when it is told to."""

    at: datetime
    elapsed_s: float = field(default=0.0)

    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        return self.elapsed_s


def measure(measurements: tuple[Measurement, ...], hosts: Sequence[Sequence[Table]], *, first_us: int, seconds: int, folder: Path) -> Sizes:
    """Generation after generation, each sealed; in the end all of it merged, as an hour later."""
    clock = BenchClock(at=from_us(first_us))
    history = History(path=folder, config=HistoryConfig(), catalogue=measurements, hosts=list, clock=clock, metrics=Metrics())
    history.open()
    feeder = _Feeder(history, clock, hosts)
    hot = hot_file = wal = seal_cpu_s = 0.0
    for generation_us in range(first_us, first_us + seconds * SECOND_US, GENERATION_S * SECOND_US):
        taken = sum(values_in(measurements, of_host, generation_us, generation_us + GENERATION_S * SECOND_US) for of_host in hosts)
        wal = max(wal, feeder.fill(generation_us, folder) / taken)
        hot = max(hot, history.query(DATABASE, tables=()).column(0)[0].as_py() / taken)
        hot_file = max(hot_file, (folder / "hot.duckdb").stat().st_size / taken)
        began_s = time.process_time()
        history.seal()
        seal_cpu_s += time.process_time() - began_s
    values = sum(values_in(measurements, of_host, first_us, first_us + seconds * SECOND_US) for of_host in hosts)
    sealed = _sealed_bytes(history)
    clock.elapsed_s += 2 * HOUR_S
    began_s = time.process_time()
    history.compact()
    merge_cpu_s = time.process_time() - began_s
    merged = _sealed_bytes(history)
    history.close()
    return Sizes(
        hot=hot,
        hot_file=hot_file,
        wal=wal,
        sealed=sealed / values,
        merged=merged / values,
        seal_cpu_s=seal_cpu_s / values * 1e6,
        merge_cpu_s=merge_cpu_s / values * 1e6,
    )


def _sealed_bytes(history: History) -> int:
    return sum(size.sealed_bytes for size in history.sizes())


class _Feeder:
    """Sends batches of all hosts."""

    def __init__(self, history: History, clock: BenchClock, hosts: Sequence[Sequence[Table]]) -> None:
        self._history = history
        self._clock = clock
        self._hosts = hosts
        self._rng = np.random.default_rng(1)
        self._epochs = self._rng.integers(1, 2**62, len(hosts)).tolist()
        self._seq = 0

    def fill(self, first_us: int, folder: Path) -> float:
        """A generation's batches and checkpoints; the bytes of the write-ahead log that they made."""
        wal_bytes = 0
        for second in range(FLUSH_S, GENERATION_S + 1, FLUSH_S):
            self._commit(first_us + (second - FLUSH_S) * SECOND_US)
            if second % CHECKPOINT_S == 0:
                wal_bytes += (folder / "hot.duckdb.wal").stat().st_size
                self._history.checkpoint()
        return wal_bytes

    def _commit(self, first_us: int) -> None:
        self._clock.elapsed_s += FLUSH_S
        self._seq += 1
        until_us = first_us + FLUSH_S * SECOND_US
        self._history.commit([self._arrival(host, first_us, until_us) for host in self._rng.permutation(len(self._hosts)).tolist()], [])

    def _arrival(self, host: int, first_us: int, until_us: int) -> Arrival:
        tables = [between(table, first_us, until_us) for table in self._hosts[host]]
        return Arrival(
            host_id=host_id_of(f"host-{host}"),
            epoch=self._epochs[host],
            seq=self._seq,
            lane=Lane.LIVE,
            received_at_us=until_us + int(self._rng.integers(0, SECOND_US)),
            content_hash=int(self._rng.integers(0, 2**62)),
            bytes=int(self._rng.integers(2000, 9000)),
            tables=[table for table in tables if table.rows],
        )
