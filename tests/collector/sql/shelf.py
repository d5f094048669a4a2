"""A real, small history for the SQL tests: `cpu` of two hosts in two sealed files and a hot minute; `probe` hot alone; `disk` without rows."""

import threading
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from watchdesk_collector.clock import SystemClock, to_us
from watchdesk_collector.history import History, HistoryConfig, Snapshot
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import NULL_INT64, Arrival, Host, Lane, Table
from watchdesk_proto.catalogue import Measurement, Type, gauge, label, text

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
HOSTS = {1: "web1", 2: "db1"}
CPU = Measurement(name="cpu", help="Processors.", columns=(gauge("busy_ratio", "Busy.", unit="ratio"), gauge("idle_ratio", "Idle.", unit="ratio")))
PROBE = Measurement(
    name="probe", help="Probes.", columns=(label("probe", "Which."), gauge("success", "Whether.", type=Type.INT64), text("error", "What was wrong."))
)
DISK = Measurement(name="disk", help="Disks.", columns=(label("mount", "Where."), gauge("used_ratio", "How full.", unit="ratio")))


class Shelf:
    """What the runner sees of history; remembers what it was asked for."""

    def __init__(self, path: Path) -> None:
        self.asked: list[tuple[tuple[str, ...], datetime | None, datetime | None]] = []
        self.was_asked = threading.Event()
        self.folder = path / "parquet"
        self.history = _filled(path)

    def catalogue(self) -> Sequence[Measurement]:
        return self.history.catalogue()

    def snapshot(
        self, tables: Sequence[str], since: datetime | None = None, until: datetime | None = None, *, columns: Collection[str] | None = None
    ) -> Snapshot:
        self.asked.append((tuple(tables), since, until))
        self.was_asked.set()
        return self.history.snapshot(tables, since, until, columns=columns)

    def close(self) -> None:
        self.history.close()


def _filled(path: Path) -> History:
    history = History(
        path=path,
        config=HistoryConfig(free_space_floor=1 << 20),
        catalogue=(CPU, PROBE, DISK),
        hosts=lambda: [_host(host_id, name) for host_id, name in HOSTS.items()],
        clock=SystemClock(),
        metrics=Metrics(),
    )
    history.open()
    for seq, days in enumerate((2, 1), start=1):
        history.commit([_arrival(host_id, seq, [_cpu(NOW - timedelta(days=days), 3600)]) for host_id in HOSTS], [])
        history.seal()
    history.commit([_arrival(host_id, 3, [_cpu(NOW, 60)]) for host_id in HOSTS], [])
    history.commit([_arrival(1, 4, [_probe()])], [])
    return history


def _host(host_id: int, name: str) -> Host:
    return Host(
        host_id=host_id,
        agent_id=f"agent-{host_id}",
        name=name,
        first_seen_at=NOW,
        last_seen_at=NOW,
        boot_id="boot",
        agent_version="0.1.0",
        clock_offset_s=0.0,
        connected=True,
    )


def _arrival(host_id: int, seq: int, tables: Sequence[Table]) -> Arrival:
    return Arrival(
        host_id=host_id, epoch=7, seq=seq, lane=Lane.LIVE, received_at_us=to_us(NOW), content_hash=seq, bytes=100, tables=tables
    )  # fmt: skip


def _cpu(until: datetime, seconds: int) -> Table:
    """One row a second, the last a second before `until`."""
    busy = np.linspace(0, 1, seconds)
    slots = to_us(until) - np.arange(seconds, 0, -1) * 1_000_000
    return Table(schema_id=CPU.schema_id, words=np.stack([slots, busy.view(np.int64), (1 - busy).view(np.int64)]), texts=())


def _probe() -> Table:
    rows = [[to_us(NOW), to_us(NOW)], [0, 1], [1, NULL_INT64], [-1, 2]]
    return Table(schema_id=PROBE.schema_id, words=np.array(rows, np.int64), texts=("site", "mail", "connection refused"))
