"""Log positions: how far each agent's logs are in history, in the agents' own words, which nobody here reads.

In memory the newest of each host, for its next Welcome; on disk the `log_position` table plus the rows of hot `log_position` tables, each of them
committed in the transaction of the batch that it came with. Sealing a generation writes `log_position` anew in the transaction that drops those rows.
Invariant: as durable as the log lines before them, and no more: what loses those loses these. Written by the writer thread alone; what `of` hands out
is replaced, never changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count

import duckdb
import pyarrow as pa
from watchdesk_proto.catalogue import Measurement, Type, gauge, text

from watchdesk_collector.clock import to_us
from watchdesk_collector.history import generation
from watchdesk_collector.history.columns import TIMESTAMP, from_words, stream
from watchdesk_collector.history.rows import signed, unsigned
from watchdesk_collector.model import Arrival

LOG_POSITION = Measurement(  # its hot tables are like those of other measurements, but no query sees them and no file holds them
    name="log_position",
    help="Log positions as they came; ts is when the collector received them.",
    columns=(
        gauge("number", "Their order.", type=Type.INT64),
        gauge("epoch", "Of the batch.", type=Type.INT64),
        gauge("seq", "Of the batch.", type=Type.INT64),
        text("source", "What the agent calls the log."),
        text("value", "The position; empty: forget it."),
    ),
)
MAX_BYTES = 1024 * 1024  # of one host: some thousands of files; beyond it, those that have not changed for longest are forgotten

CREATE = (
    "CREATE TABLE IF NOT EXISTS log_position (ts TIMESTAMPTZ, host_id BIGINT, number BIGINT, epoch BIGINT, seq BIGINT, source VARCHAR, value VARCHAR)"
)
READ = "SELECT epoch_us(ts), host_id, number, epoch, seq, source, value FROM {table} ORDER BY number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """The newest log positions of a host, and the newest batch that brought some."""

    epoch: int
    seq: int
    received_us: int
    values: Mapping[str, str]


class LogPositions:
    """By host."""

    def __init__(self) -> None:
        self._by_host: dict[int, Positions] = {}
        self._numbers = count(1)

    def of(self, host_id: int) -> Positions | None:
        """None when there are none."""
        return self._by_host.get(host_id)

    def read(self, cursor: duckdb.DuckDBPyConnection, generations: Iterable[int]) -> None:
        """Load what the database knows."""
        last = 0
        for table in ("log_position", *(generation.table(LOG_POSITION.name, number) for number in generations)):
            for received_us, host_id, number, epoch, seq, source, value in cursor.execute(READ.format(table=table)).fetchall():
                self._note(unsigned(host_id), unsigned(epoch), unsigned(seq), received_us, {source: value})
                last = max(last, number)
        self._numbers = count(last + 1)

    def rows(self, arrivals: Iterable[Arrival]) -> pa.Table:
        """What these bring, ready to be inserted."""
        return _to_arrow([row for arrival in arrivals for row in self._rows(arrival)])

    def _rows(self, arrival: Arrival) -> "Iterable[_Row]":
        for source, value in arrival.log_positions.items():
            yield arrival.received_at_us, arrival.host_id, next(self._numbers), arrival.epoch, arrival.seq, source, value

    def note_committed(self, arrivals: Iterable[Arrival]) -> None:
        for arrival in arrivals:
            if arrival.log_positions:
                self._note(arrival.host_id, arrival.epoch, arrival.seq, arrival.received_at_us, arrival.log_positions)

    def _note(self, host_id: int, epoch: int, seq: int, received_us: int, changed: Mapping[str, str]) -> None:
        known = self._by_host.get(host_id)
        values = {source: value for source, value in known.values.items() if source not in changed} if known else {}
        values |= {source: value for source, value in changed.items() if value}
        self._by_host[host_id] = Positions(epoch=epoch, seq=seq, received_us=received_us, values=_bounded(values))

    def forget(self, before: datetime) -> None:
        """Let go of those that came so long ago that the lines before them have left history too."""
        before_us = to_us(before)
        self._by_host = {host_id: positions for host_id, positions in self._by_host.items() if positions.received_us >= before_us}

    def write(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Write all as the new `log_position`, within the caller's transaction."""
        rows: list[_Row] = []
        for host_id, positions in self._by_host.items():
            for source, value in positions.values.items():
                rows.append((positions.received_us, host_id, next(self._numbers), positions.epoch, positions.seq, source, value))
        arriving = stream(_to_arrow(rows))  # noqa: F841  # DuckDB finds it by this name
        cursor.execute("CREATE OR REPLACE TABLE log_position AS SELECT * FROM arriving")


_Row = tuple[int, int, int, int, int, str, str]


def _bounded(values: dict[str, str]) -> dict[str, str]:
    """The newest that have room; the first is the oldest."""
    room = MAX_BYTES - sum(len(source) + len(value) for source, value in values.items())
    while room < 0:
        source = next(iter(values))
        room += len(source) + len(values.pop(source))
    return values


def _to_arrow(rows: Sequence[_Row]) -> pa.Table:
    received_us, *numbers, sources, values = zip(*rows, strict=True) if rows else ((),) * 7
    columns = [from_words(TIMESTAMP, signed(received_us)), *(from_words(pa.int64(), signed(column)) for column in numbers)]
    columns += [pa.array(sources, pa.string()), pa.array(values, pa.string())]
    return pa.Table.from_arrays(columns, names=["ts", "host_id", *(column.name for column in LOG_POSITION.columns)])
