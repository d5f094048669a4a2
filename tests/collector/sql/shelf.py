"""A small history for the SQL tests: two days of `cpu` in real Parquet files, its newest minute hot; `probe` hot alone; `disk` without rows."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from watchdesk_collector.history import Snapshot, TableSnapshot, hot_name
from watchdesk_proto.catalogue import Measurement, Type, gauge, label, text

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
HOSTS = {1: "web1", 2: "db1"}
CPU = Measurement(name="cpu", help="Processors.", columns=(gauge("busy_ratio", "Busy.", unit="ratio"), gauge("idle_ratio", "Idle.", unit="ratio")))
PROBE = Measurement(
    name="probe", help="Probes.", columns=(label("probe", "Which."), gauge("success", "Whether.", type=Type.INT64), text("error", "What was wrong."))
)
DISK = Measurement(name="disk", help="Disks.", columns=(label("mount", "Where."), gauge("used_ratio", "How full.", unit="ratio")))
_ARROW = {Type.FLOAT64: pa.float64(), Type.INT64: pa.int64(), Type.TEXT: pa.dictionary(pa.int32(), pa.string())}


class Shelf:
    """What the runner sees of history; remembers the ranges that it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.was_asked = threading.Event()
        self.asked: list[tuple[tuple[str, ...], datetime | None, datetime | None]] = []
        self.hot = {"cpu": _cpu_rows(NOW, 60), "probe": _probe_rows(), "disk": _no_rows(DISK)}
        self.files: dict[str, list[Path]] = {"cpu": [self._seal(days) for days in (2, 1)], "probe": [], "disk": []}

    def catalogue(self) -> Sequence[Measurement]:
        return (CPU, PROBE, DISK)

    def snapshot(self, tables: Sequence[str], since: datetime | None = None, until: datetime | None = None) -> Snapshot:
        self.asked.append((tuple(tables), since, until))
        self.was_asked.set()
        return Snapshot(
            tables={name: self._table(name) for name in tables},
            hosts=pa.table({"host_id": pa.array(list(HOSTS), pa.int64()), "host": list(HOSTS.values())}),
            catalog=pa.table({"measurement": ["cpu", "cpu", "probe"], "name": ["busy_ratio", "idle_ratio", "success"]}),
        )

    def _table(self, name: str) -> TableSnapshot:
        columns = next([column.name for column in measurement.columns] for measurement in self.catalogue() if measurement.name == name)
        paths = ", ".join(f"'{path}'" for path in self.files[name])
        sealed = f"UNION ALL BY NAME FROM read_parquet([{paths}], union_by_name = true)" if paths else ""
        relation = f"SELECT r.ts, h.host, r.host_id, {', '.join(columns)} FROM (FROM {hot_name(name)} {sealed}) r JOIN hosts h USING (host_id)"
        return TableSnapshot(hot=self.hot[name], files=self.files[name], relation=relation)

    def _seal(self, days: int) -> Path:
        day = NOW - timedelta(days=days)
        path = self.folder / "cpu" / f"{day:%Y-%m-%d}" / "1.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(_cpu_rows(day, 3600), path)
        return path


def _cpu_rows(until: datetime, seconds: int) -> pa.Table:
    slots = [until - timedelta(seconds=seconds - second) for second in range(seconds) for _ in HOSTS]
    count = len(slots)
    return pa.table(
        {
            "ts": pa.array(slots, pa.timestamp("us", tz="UTC")),
            "host_id": pa.array([*HOSTS] * seconds, pa.int64()),
            "busy_ratio": [index / count for index in range(count)],
            "idle_ratio": [1 - index / count for index in range(count)],
        }
    )


def _probe_rows() -> pa.Table:
    return pa.table(
        {
            "ts": pa.array([NOW, NOW], pa.timestamp("us", tz="UTC")),
            "host_id": pa.array([1, 1], pa.int64()),
            "probe": pa.array(["site", "mail"]).dictionary_encode(),
            "success": pa.array([1, None], pa.int64()),
            "error": pa.array([None, "connection refused"]).dictionary_encode(),
        }
    )


def _no_rows(measurement: Measurement) -> pa.Table:
    columns = {column.name: pa.array([], _ARROW[column.type]) for column in measurement.columns}
    return pa.table({"ts": pa.array([], pa.timestamp("us", tz="UTC")), "host_id": pa.array([], pa.int64()), **columns})
