"""What the history tests are made of: a small catalogue, batches whose every value tells where it belongs, and questions about what is stored."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from fakes import FakeClock
from watchdesk_collector.clock import to_us
from watchdesk_collector.history import History, HistoryConfig, RangeSet
from watchdesk_collector.history.steps import Steps, pass_by
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Hole, Host, Lane, Outcome, Table
from watchdesk_proto.catalogue import Measurement, Type, gauge, label, text

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
EPOCH = 7_000_000_000_000_000_007
HOST = 11

CPU = Measurement(name="cpu", help="Processors.", columns=(gauge("busy_ratio", "Busy.", unit="ratio"), gauge("cores", "Cores.", type=Type.INT64)))
DISK = Measurement(
    name="disk",
    help="Disks.",
    columns=(label("mount", "Where."), gauge("used_bytes", "Used.", unit="bytes", type=Type.INT64), text("note", "Why.")),
)


def host(host_id: int = HOST, name: str = "web1") -> Host:
    return Host(
        host_id=host_id,
        agent_id=f"agent-{host_id}",
        name=name,
        first_seen_at=START,
        last_seen_at=START,
        boot_id="boot",
        agent_version="0.1.0",
        clock_offset_s=0.0,
        connected=True,
    )


def config(**changes: float) -> HistoryConfig:
    return HistoryConfig(**{"free_space_floor": 1 << 20, **changes})  # type: ignore[arg-type]


def history_at(
    path: Path,
    *,
    clock: FakeClock | None = None,
    steps: Steps = pass_by,
    hosts: Sequence[Host] = (host(),),
    catalogue: Sequence[Measurement] = (CPU, DISK),
    **changes: float,
) -> History:
    """An open history."""
    history = History(
        path=path,
        config=config(**changes),
        catalogue=catalogue,
        hosts=lambda: hosts,
        clock=clock or FakeClock(START),
        metrics=Metrics(),
        steps=steps,
    )
    history.open()
    return history


def words(ts_us: Sequence[int], *columns: Sequence[float | int | None]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """As on the wire; None becomes the in-band null of the column's type, which its first value tells."""
    block = np.empty((1 + len(columns), len(ts_us)), np.int64)
    block[0] = ts_us
    for row, column in enumerate(columns, start=1):
        if any(isinstance(value, float) for value in column):
            block[row] = np.array([np.nan if value is None else value for value in column], np.float64).view(np.int64)
        else:
            block[row] = [-(2**63) if value is None else value for value in column]
    return block


def cpu(ts_us: Sequence[int], busy: Sequence[float | None], cores: Sequence[int | None]) -> Table:
    return Table(schema_id=CPU.schema_id, words=words(ts_us, [float("nan") if value is None else value for value in busy], cores), texts=())


def disk(ts_us: Sequence[int], mounts: Sequence[int], used: Sequence[int | None], notes: Sequence[int], texts: Sequence[str]) -> Table:
    return Table(schema_id=DISK.schema_id, words=words(ts_us, mounts, used, notes), texts=texts)


def batch(seq: int, *, host_id: int = HOST, epoch: int = EPOCH, at: datetime = START, tables: Sequence[Table] | None = None) -> Arrival:
    """By default one cpu row whose `cores` is the seq, so that each batch can be found again; its log position is the seq, too."""
    at_us = to_us(at) + seq * 1_000_000
    return Arrival(
        host_id=host_id,
        epoch=epoch,
        seq=seq,
        lane=Lane.LIVE,
        received_at_us=at_us,
        content_hash=seq * 31,
        bytes=100,
        tables=[cpu([at_us], [0.5], [seq])] if tables is None else tables,
        log_positions={"app": str(seq)},
    )


def hole(first: int, last: int, *, epoch: int = EPOCH, outcome: Outcome = Outcome.DROPPED) -> Hole:
    return Hole(host_id=HOST, epoch=epoch, first=first, last=last, outcome=outcome, reason="spool_age", received_at_us=to_us(START))


def stored_seqs(history: History, host_id: int = HOST) -> list[int]:
    """Every `cores` value there is, in order: each seq once when all is well."""
    found = history.query("SELECT cores FROM cpu WHERE host_id = ? ORDER BY cores", [host_id], tables=["cpu"])
    return [row["cores"] for row in found.to_pylist()]


def batch_seqs(history: History) -> list[int]:
    """The seqs of `batch` rows, one by one."""
    rows = history.query("SELECT seq, seq_to FROM batch ORDER BY seq", tables=["batch"]).to_pylist()
    return [seq for row in rows for seq in range(row["seq"], row["seq_to"] + 1)]


def log_positions(history: History, host_id: int = HOST) -> dict[str, str]:
    """What the next Welcome of a host would hold."""
    positions = history.log_positions(host_id)
    return {} if positions is None else dict(positions.values)


def ranges(by_epoch: Mapping[int, RangeSet]) -> dict[int, list[tuple[int, int]]]:
    return {epoch: found.to_list() for epoch, found in by_epoch.items()}


def parquet_files(path: Path) -> list[Path]:
    return sorted(file for file in (path / "parquet").rglob("*") if file.is_file())


@dataclass(frozen=True)
class LogRecord:
    """One record of DuckDB's write-ahead log."""

    start: int
    end: int
    ends_transaction: bool


def log_records(data: bytes) -> list[LogRecord]:
    """The records of an undamaged write-ahead log: after a header that ends with two bytes 0xff, u64 size, u64 checksum, payload."""
    records = []
    start = data.index(b"\xff\xff") + 2
    while start < len(data):
        (size,) = struct.unpack_from("<Q", data, start)
        records.append(LogRecord(start, start + 16 + size, data[start + 18] == 100))
        start = records[-1].end
    return records
