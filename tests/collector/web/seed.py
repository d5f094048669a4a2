"""A small company's month, made up but plausible: what pages are drawn from in tests and in screenshots.

Twelve hosts. `vpn` fell silent, `backup` runs out of disk, `mail` waits for its disk, `db-2` was away for twenty minutes, the agent of `web-1`
did not run for a while, and once did not get to its disks, and a probe of it fails.
"""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from fakes import FakeClock
from sqlalchemy import Engine
from watchdesk_collector.clock import to_us
from watchdesk_collector.model import NULL_INT64, Arrival, Lane, Table, host_id_of
from watchdesk_collector.ops.attendance import AttendanceBook, Sampler
from watchdesk_collector.ops.hosts import HostDirectory, Introduction
from watchdesk_collector.ops.schema import incident
from watchdesk_collector.ops.severity import Severity
from watchdesk_proto.catalogue import Measurement, Type, builtin

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Columns = Mapping[str, Any]  # by column: an array, or one value for all rows

GIB = float(2**30)
MIB = float(2**20)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One made-up host."""

    name: str
    cpus: int = 4
    memory_bytes: float = 16 * GIB
    busy: float = 0.15
    used: float = 0.5
    mounts: Mapping[str, float]  # mount → share used now
    probes: Mapping[str, str]  # name → target
    silent_for: timedelta = timedelta()

    @property
    def agent_id(self) -> str:
        return f"00000000-0000-4000-8000-{zlib.crc32(self.name.encode()):012x}"

    @property
    def host_id(self) -> int:
        return host_id_of(self.agent_id)


MACHINES: tuple[Machine, ...] = (
    Machine(
        name="web-1",
        busy=0.34,
        used=0.61,
        mounts={"/": 0.43},
        probes={"checkout": "https://shop.example.org/checkout", "website": "https://shop.example.org/"},
    ),
    Machine(name="web-2", busy=0.31, used=0.58, mounts={"/": 0.41}, probes={}),
    Machine(name="web-3", busy=0.29, used=0.6, mounts={"/": 0.44}, probes={}),
    Machine(
        name="db-1",
        cpus=16,
        memory_bytes=64 * GIB,
        busy=0.22,
        used=0.78,
        mounts={"/": 0.31, "/var/lib/postgresql": 0.67},
        probes={"postgres": "db-1:5432"},
    ),
    Machine(
        name="db-2",
        cpus=16,
        memory_bytes=64 * GIB,
        busy=0.08,
        used=0.71,
        mounts={"/": 0.3, "/var/lib/postgresql": 0.66},
        probes={"postgres": "db-2:5432"},
    ),
    Machine(name="cache-1", busy=0.05, memory_bytes=32 * GIB, used=0.84, mounts={"/": 0.18}, probes={"redis": "cache-1:6379"}),
    Machine(
        name="mail", cpus=2, memory_bytes=4 * GIB, busy=0.12, used=0.66, mounts={"/": 0.52, "/var/mail": 0.71}, probes={"smtp": "mail.example.org:25"}
    ),
    Machine(name="backup", cpus=2, memory_bytes=4 * GIB, busy=0.18, used=0.35, mounts={"/": 0.22, "/srv/backup": 0.963}, probes={"ssh": "backup:22"}),
    Machine(name="build-1", cpus=8, busy=0.55, used=0.48, mounts={"/": 0.36, "/build": 0.58}, probes={}),
    Machine(name="build-2", cpus=8, busy=0.51, used=0.44, mounts={"/": 0.35, "/build": 0.61}, probes={}),
    Machine(
        name="vpn",
        cpus=1,
        memory_bytes=GIB,
        busy=0.03,
        used=0.4,
        mounts={"/": 0.61},
        probes={"wireguard": "vpn.example.org:443"},
        silent_for=timedelta(minutes=25),
    ),
    Machine(name="edge-ams", cpus=1, memory_bytes=2 * GIB, busy=0.06, used=0.33, mounts={"/": 0.27}, probes={"dns": "edge-ams.example.org:53"}),
)

_MEASUREMENTS: Mapping[str, Measurement] = {measurement.name: measurement for measurement in builtin()}


def introduce(engine: Engine, machines: Sequence[Machine], now: datetime) -> None:
    """Write the machines to ops.db as they are at `now`: known for a month, last seen two seconds ago unless silent."""
    hosts = HostDirectory(engine, FakeClock(now - timedelta(days=30)))
    for machine in machines:
        hosts.introduce(Introduction(agent_id=machine.agent_id, name=machine.name, boot_id="boot", agent_version="0.1.0", clock_offset_s=0.02))
        hosts.seen([machine.host_id], now - machine.silent_for - timedelta(seconds=2))
    hosts.flush()


def attend(book: AttendanceBook, machines: Sequence[Machine], now: datetime) -> None:
    """Each machine has said that it takes a sample every ten seconds, for a month now."""
    since_us = to_us(now - timedelta(days=30))
    for machine in machines:
        book.introduce(machine.host_id, [Sampler(measurement=name, interval_us=10_000_000, since_us=since_us) for name in SAMPLED], ())
        for name in SAMPLED:
            book.prove(machine.host_id, name)


def raise_alerts(engine: Engine, machines: Sequence[Machine], now: datetime) -> None:
    """What rules would have made of all machines: four alerts that fire, two that were resolved."""
    host_ids = {machine.name: machine.host_id for machine in machines}
    rows = [_incident(number, raised, host_ids[raised.host], now) for number, raised in enumerate(_RAISED) if raised.host in host_ids]
    with engine.begin() as connection:
        for row in rows:
            connection.execute(sa.insert(incident), row)


def arrivals(machines: Sequence[Machine], now: datetime) -> Iterator[Arrival]:
    """A month of each machine: coarse at first, every 60 s since yesterday, every 10 s in the last 75 minutes."""
    for machine in machines:
        tables = tuple(_tables(machine, now))
        yield Arrival(
            host_id=machine.host_id,
            epoch=1,
            seq=1,
            lane=Lane.LIVE,
            received_at_us=to_us(now) - 2_000_000,
            content_hash=1,
            bytes=sum(table.words.nbytes for table in tables),
            tables=tables,
        )


@dataclass(frozen=True, kw_only=True)
class _Raised:
    rule: str
    severity: Severity
    host: str
    labels: Mapping[str, str]
    summary: str
    value: float
    since: timedelta
    resolved: timedelta | None = None


_RAISED = (
    _Raised(
        rule="host-silent",
        severity=Severity.CRITICAL,
        host="vpn",
        labels={},
        summary="vpn is silent: last seen 25 min ago",
        value=1500,
        since=timedelta(minutes=25),
    ),
    _Raised(
        rule="disk-nearly-full",
        severity=Severity.CRITICAL,
        host="backup",
        labels={"mount": "/srv/backup"},
        summary="/srv/backup is 96 % full; 18.5 GiB are left",
        value=0.963,
        since=timedelta(hours=3, minutes=12),
    ),
    _Raised(
        rule="probe-down",
        severity=Severity.CRITICAL,
        host="web-1",
        labels={"probe": "checkout"},
        summary="checkout: https://shop.example.org/checkout does not answer as it should: HTTP status 502, expected 200",
        value=0,
        since=timedelta(minutes=12),
    ),
    _Raised(
        rule="io-stalls",
        severity=Severity.WARNING,
        host="mail",
        labels={},
        summary="all programs waited for disks for 42 % of the last five minutes",
        value=0.42,
        since=timedelta(minutes=21),
    ),
    _Raised(
        rule="host-silent",
        severity=Severity.CRITICAL,
        host="db-2",
        labels={},
        summary="db-2 is silent: last seen 2 min ago",
        value=120,
        since=timedelta(minutes=40),
        resolved=timedelta(minutes=20),
    ),
    _Raised(
        rule="probe-down",
        severity=Severity.CRITICAL,
        host="mail",
        labels={"probe": "smtp"},
        summary="smtp: mail.example.org:25 does not answer as it should: connection refused",
        value=0,
        since=timedelta(hours=6, minutes=24),
        resolved=timedelta(hours=6),
    ),
)


def _incident(number: int, raised: _Raised, host_id: int, now: datetime) -> dict[str, object]:
    return {
        "rule": raised.rule,
        "fingerprint": str(number),
        "host_id": host_id,
        "host": raised.host,
        "labels": dict(raised.labels),
        "severity": raised.severity,
        "summary": raised.summary,
        "since_us": to_us(now - raised.since),
        "opened_at_us": to_us(now - raised.since + timedelta(seconds=60)),
        "recorded_at_us": to_us(now - raised.since + timedelta(seconds=60)),
        "resolved_at_us": to_us(now - raised.resolved) if raised.resolved else None,
        "value": raised.value,
    }


def _tables(machine: Machine, now: datetime) -> Iterator[Table]:
    seed = np.random.default_rng(zlib.crc32(machine.name.encode()))
    ts = _times(machine, now)
    waves = _Waves(ts, to_us(now), seed)
    yield _table("cpu", ts, _cpu(machine, waves))
    yield _table("memory", ts, _memory(machine, waves))
    yield _table("load", ts, _load(machine, waves))
    yield from _per_part(machine, ts, waves)
    yield _table("host", ts[-1:], _host(machine))
    if machine.name in _LOGS:
        yield _log(machine, now)
    if machine.name in _AWAY:
        yield _missed(machine, now)


def _times(machine: Machine, now: datetime) -> Ints:
    end = to_us(now - machine.silent_for) // 10_000_000
    fine = np.arange(end - 450, end + 1) * 10_000_000
    minutes = np.arange(fine[0] // 60_000_000 - 1360, fine[0] // 60_000_000) * 60_000_000
    coarse = np.arange(minutes[0] // 1_200_000_000 - 2088, minutes[0] // 1_200_000_000) * 1_200_000_000
    ts = np.concatenate([coarse, minutes, fine]).astype(np.int64)
    for away in _AWAY.get(machine.name, ()):
        if not away.samplers:
            ts = ts[(ts < away.since_us(now)) | (ts >= away.until_us(now))]
    return ts


class _Waves:
    """Days, noise and bursts, the same for all measurements of a host."""

    def __init__(self, ts: Ints, now_us: int, seed: np.random.Generator) -> None:
        self.seed = seed
        self.count = len(ts)
        self.age_s = (now_us - ts) / 1e6
        hour = (ts / 3.6e9) % 24
        self.day = 0.55 - 0.45 * np.cos((hour - 3) / 24 * 2 * math.pi)
        slow = np.cumsum(seed.normal(0, 0.06, self.count))
        self.drift = np.sin(slow)
        self.bursts = (seed.random(self.count) < 0.02) * seed.random(self.count)

    def noise(self, spread: float) -> Floats:
        return self.seed.normal(0, spread, self.count)


def _cpu(machine: Machine, waves: _Waves) -> Columns:
    busy = np.clip(machine.busy * (waves.day + 0.25 * waves.drift + waves.noise(0.08)) * 1.6 + waves.bursts * 0.5, 0.005, 0.97)
    iowait = np.clip(0.01 + waves.noise(0.004), 0, 1)
    if machine.name == "mail":
        iowait = np.where(waves.age_s < 1500, np.clip(0.42 + waves.noise(0.05), 0, 0.9), iowait)
    return {
        "busy_ratio": busy,
        "user_ratio": busy * 0.68,
        "nice_ratio": 0.0,
        "system_ratio": busy * 0.26,
        "irq_ratio": 0.0,
        "softirq_ratio": busy * 0.06,
        "steal_ratio": 0.0,
        "iowait_ratio": np.minimum(iowait, 1 - busy),
        "idle_ratio": np.maximum(1 - busy - iowait, 0),
    }


def _memory(machine: Machine, waves: _Waves) -> Columns:
    ratio = np.clip(machine.used + 0.05 * waves.drift + 0.05 * waves.day, 0.02, 0.99)
    total = machine.memory_bytes
    return {
        "total_bytes": total,
        "used_bytes": total * ratio,
        "available_bytes": total * (1 - ratio),
        "free_bytes": total * (1 - ratio) * 0.35,
        "used_ratio": ratio,
    }


def _load(machine: Machine, waves: _Waves) -> Columns:
    load = np.clip(machine.cpus * machine.busy * (waves.day + 0.4 * waves.drift) * 1.5 + np.abs(waves.noise(0.1)), 0.01, None)
    return {"load1": load, "load5": load * 0.95, "load15": np.clip(machine.cpus * machine.busy * waves.day * 1.5, 0.01, None), "cpus": machine.cpus}


def _per_part(machine: Machine, ts: Ints, waves: _Waves) -> Iterator[Table]:
    for mount, used in machine.mounts.items():
        grown = np.clip(used - waves.age_s / 86_400 * (0.011 if used > 0.9 else 0.001), 0.01, 1)
        yield _table(
            "disk",
            ts,
            {
                "mount": mount,
                "device": "/dev/sda1",
                "filesystem": "ext4",
                "used_ratio": grown,
                "total_bytes": 500 * GIB,
                "used_bytes": 500 * GIB * grown,
            },
        )
    for device, share in (("sda", 1.0), ("sdb", 0.3)):
        written = np.abs(machine.busy * 40 * MIB * share * (waves.day + waves.noise(0.3) + waves.bursts * 3))
        yield _table(
            "disk_io",
            ts,
            {
                "device": device,
                "read_bytes_per_second": written * 0.4 * (1 + waves.bursts),
                "write_bytes_per_second": written,
                "utilisation_ratio": np.clip(written / (120 * MIB), 0, 1),
            },
        )
    for interface, share in (("eth0", 1.0), ("wg0", 0.1)):
        received = np.abs(machine.busy * 90 * MIB * share * (waves.day + waves.noise(0.1) + waves.bursts))
        yield _table(
            "network", ts, {"interface": interface, "receive_bytes_per_second": received, "transmit_bytes_per_second": received * 0.6, "up": 1}
        )
    for resource, share in (("cpu", 0.05), ("io", 0.03), ("memory", 0.002)):
        yield _table(
            "pressure", ts, {"resource": resource, "some_ratio": np.clip(np.abs(share * (waves.day + waves.noise(0.5))) + waves.bursts * share, 0, 1)}
        )
    for probe, target in machine.probes.items():
        yield _table("probe", ts, _probe(probe, target, waves))


def _probe(probe: str, target: str, waves: _Waves) -> Columns:
    is_web = target.startswith("https")
    latency = np.abs(0.08 if is_web else 0.004) * (1 + np.abs(waves.noise(0.2)) + waves.bursts * 3)
    failed = np.zeros(waves.count, dtype=bool)
    if probe == "checkout":
        failed = waves.age_s < 720
    if probe == "smtp":
        failed = (waves.age_s > 6 * 3600) & (waves.age_s < 6.4 * 3600)
    error = "HTTP status 502, expected 200" if is_web else "connection refused"
    return {
        "probe": probe,
        "kind": "http" if is_web else "tcp",
        "target": target,
        "success": np.where(failed, 0, 1),
        "duration_seconds": latency,
        "certificate_expires_seconds": 9.4 * 86_400 if probe == "website" else None,
        "error": [error if has_failed else None for has_failed in failed],
    }


def _host(machine: Machine) -> Columns:
    return {
        "uptime_seconds": 41.2 * 86_400,
        "clock_offset_seconds": -0.004,
        "kernel": "6.1.0-39-amd64",
        "os": "Debian GNU/Linux 12 (bookworm)",
        "architecture": "x86_64",
        "agent_version": "0.1.0",
    }


def _log(machine: Machine, now: datetime) -> Table:
    source, ages_s, messages = _LOGS[machine.name]
    ts = np.array([to_us(now) - age_s * 1_000_000 for age_s in ages_s], dtype=np.int64)
    columns = {"source": source, "path": f"/var/log/{source}.log", "severity": "error", "unit": None, "message": messages, "lines": 1}
    return _table("log", ts, columns)


def _missed(machine: Machine, now: datetime) -> Table:
    told = [(sampler, away) for away in _AWAY[machine.name] for sampler in away.samplers or SAMPLED]
    columns = {
        "sampler": [sampler for sampler, _ in told],
        "cause": [away.cause for _, away in told],
        "slots": [away.lasted // timedelta(seconds=10) for _, away in told],
        "interval_seconds": 10.0,
        "reason": [away.reason for _, away in told],
    }
    return _table("missed", np.array([away.since_us(now) for _, away in told], dtype=np.int64), columns)


@dataclass(frozen=True, kw_only=True)
class _Away:
    """When nothing was sampled, or, with samplers, when those did not sample."""

    ago: timedelta
    lasted: timedelta
    cause: str
    reason: str | None = None
    samplers: tuple[str, ...] = ()

    def since_us(self, now: datetime) -> int:
        return to_us(now - self.ago) // 10_000_000 * 10_000_000

    def until_us(self, now: datetime) -> int:
        return self.since_us(now) + self.lasted // timedelta(microseconds=1)


SAMPLED = ("cpu", "memory", "load", "disk", "disk_io", "network", "pressure", "host")
_AWAY: Mapping[str, tuple[_Away, ...]] = {
    "db-2": (_Away(ago=timedelta(minutes=40), lasted=timedelta(minutes=20), cause="host_down"),),
    "web-1": (
        _Away(ago=timedelta(minutes=38), lasted=timedelta(minutes=4), cause="agent_down"),
        _Away(ago=timedelta(hours=7), lasted=timedelta(minutes=30), cause="stale", samplers=("disk",)),
    ),
}

_TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/pay.py", line 88, in charge
    answer = gateway.post(order)
ConnectionError: payment gateway closed the connection"""

_DEADLOCK = """ERROR:  deadlock detected
DETAIL:  Process 4711 waits for ShareLock on transaction 991; blocked by process 4712."""

_LOGS: Mapping[str, tuple[str, Sequence[int], Sequence[str]]] = {
    "db-1": ("postgresql", [1900, 400], ["FATAL:  sorry, too many clients already", _DEADLOCK]),
    "web-1": ("checkout", [400], [_TRACEBACK]),
}


def _table(measurement: str, ts: Ints, columns: Columns) -> Table:
    """Columns that are not given are null."""
    wanted = _MEASUREMENTS[measurement]
    texts: dict[str, int] = {}
    words = np.empty((1 + len(wanted.columns), len(ts)), dtype=np.int64)
    words[0] = ts
    for row, column in enumerate(wanted.columns, start=1):
        words[row] = _encode(columns.get(column.name), column.type, len(ts), texts)
    return Table(schema_id=wanted.schema_id, words=words, texts=tuple(texts))


def _encode(value: Any, type: Type, count: int, texts: dict[str, int]) -> Ints:
    values = np.broadcast_to(np.asarray(value, dtype=object), count)
    if type is Type.TEXT:
        return np.array([-1 if text is None else texts.setdefault(text, len(texts)) for text in values], dtype=np.int64)
    if type is Type.INT64:
        return np.array([NULL_INT64 if number is None else int(number) for number in values], dtype=np.int64)
    floats = np.array([math.nan if number is None else float(number) for number in values], dtype=np.float64)
    return floats.view(np.int64)
