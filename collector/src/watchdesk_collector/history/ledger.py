"""The ledger: which seqs of which (host, epoch) are durable, and which are even checkpointed.

In memory for every batch's check; on disk it is the `seq_range` table plus the rows of hot `batch` tables. Sealing a generation writes `seq_range`
anew in the transaction that drops those rows, so the two always add up to the same.
Invariant: written by the writer thread alone; what `checkpointed` hands out is replaced, never changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from watchdesk_collector.clock import to_us
from watchdesk_collector.history import generation
from watchdesk_collector.history.columns import TIMESTAMP, from_words, stream
from watchdesk_collector.history.ranges import RangeSet
from watchdesk_collector.history.rows import signed, unsigned
from watchdesk_collector.model import Arrival, Hole

CREATE = "CREATE TABLE IF NOT EXISTS seq_range (host_id BIGINT, epoch BIGINT, first BIGINT, last BIGINT, last_received_at TIMESTAMPTZ)"
READ_BASE = "SELECT host_id, epoch, first, last, epoch_us(last_received_at) FROM seq_range"
READ_HOT = """
WITH stretch AS (
    SELECT *, seq::HUGEINT > 1 + max(seq_to::HUGEINT) OVER before AS is_new
    FROM {table}
    WINDOW before AS (PARTITION BY host_id, epoch ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), island AS (
    SELECT *, count(*) FILTER (is_new) OVER (PARTITION BY host_id, epoch ORDER BY seq ROWS UNBOUNDED PRECEDING) AS number
    FROM stretch
)
SELECT host_id, epoch, min(seq), max(seq_to), epoch_us(max(ts))
FROM island
GROUP BY host_id, epoch, number
"""

Key = tuple[int, int]


class Ledger:
    """Ranges by host, then epoch."""

    def __init__(self) -> None:
        self._durable: dict[int, dict[int, RangeSet]] = {}
        self._checkpointed: dict[int, Mapping[int, RangeSet]] = {}
        self._received_us: dict[Key, int] = {}
        self._since_checkpoint: set[int] = set()

    def durable(self, host_id: int) -> Mapping[int, RangeSet]:
        return self._durable.get(host_id, {})

    def checkpointed(self, host_id: int) -> Mapping[int, RangeSet]:
        return self._checkpointed.get(host_id, {})

    def read(self, cursor: duckdb.DuckDBPyConnection, batch_generations: Iterable[int]) -> None:
        """Load what the database knows."""
        queries = [READ_BASE, *(READ_HOT.format(table=generation.table("batch", number)) for number in batch_generations)]
        for query in queries:
            for host_id, epoch, first, last, received_us in cursor.execute(query).fetchall():
                self._add(unsigned(host_id), unsigned(epoch), unsigned(first), unsigned(last), received_us)

    def note_committed(self, arrivals: Sequence[Arrival], holes: Sequence[Hole]) -> None:
        for arrival in arrivals:
            self._add(arrival.host_id, arrival.epoch, arrival.seq, arrival.seq, arrival.received_at_us)
        for hole in holes:
            self._add(hole.host_id, hole.epoch, hole.first, hole.last, hole.received_at_us)

    def _add(self, host_id: int, epoch: int, first: int, last: int, received_us: int) -> None:
        epochs = self._durable.setdefault(host_id, {})
        if epoch not in epochs:
            self._durable[host_id] = epochs = {**epochs, epoch: RangeSet()}
        epochs[epoch].add(first, last)
        key = (host_id, epoch)
        self._received_us[key] = max(received_us, self._received_us.get(key, received_us))
        self._since_checkpoint.add(host_id)

    def note_checkpoint(self) -> None:
        for host_id in self._since_checkpoint:
            self._checkpointed[host_id] = {epoch: ranges.copy() for epoch, ranges in self._durable[host_id].items()}
        self._since_checkpoint.clear()

    def forget(self, before: datetime) -> None:
        """Let go of epochs of which nothing came for so long that their rows have left history too."""
        before_us = to_us(before)
        for host_id, epoch in [key for key, received_us in self._received_us.items() if received_us < before_us]:
            del self._received_us[host_id, epoch]
            self._durable[host_id] = {other: ranges for other, ranges in self._durable[host_id].items() if other != epoch}
            self._since_checkpoint.add(host_id)

    def write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Write all ranges as the new `seq_range`, within the caller's transaction."""
        rows = [
            (host_id, epoch, first, last, self._received_us[host_id, epoch])
            for host_id, epochs in self._durable.items()
            for epoch, ranges in epochs.items()
            for first, last in ranges
        ]
        arriving = stream(_to_arrow(rows))  # noqa: F841  # DuckDB finds it by this name
        cursor.execute("CREATE OR REPLACE TABLE seq_range AS SELECT * FROM arriving")


def _to_arrow(rows: Sequence[tuple[int, int, int, int, int]]) -> pa.Table:
    *numbers, received_us = zip(*rows, strict=True) if rows else ((),) * 5
    columns = [from_words(pa.int64(), signed(column)) for column in numbers]
    return pa.Table.from_arrays(
        [*columns, from_words(TIMESTAMP, signed(received_us))], names=["host_id", "epoch", "first", "last", "last_received_at"]
    )
