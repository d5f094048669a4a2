"""Bytes per value on disk, beside Prometheus and VictoriaMetrics, of the same values, at each age of the data.

    .venv/bin/python bench/bench_size.py [--sets walks recorded] [--encodings]

Two sets. `walks` are synthetic (walks.py). `recorded` is this host under changing loads of stress-ng, recorded once for four minutes by the agent's
own samplers at 120 phases of the second, kept in .cache/bench, and put together to as many hosts as are asked for (recording.py). Of each:

Ten minutes of many hosts, which is a hot generation of ours: its tables in the DuckDB file, the whole file with what is free in it, and what the
write-ahead log held before its checkpoints; beside what Prometheus keeps of its head on disk (write-ahead log and chunks), and the block that it
makes of it. An hour of few hosts: ours sealed every ten minutes, and merged as an hour later; Prometheus's block; VictoriaMetrics after its final
merge; the CPU that each of these steps took. A value is a number that is not null; timestamps, labels, hosts, and the row that we keep of each
batch are in the bytes.

`--encodings` writes that hour as Parquet in every way that was tried, and tells size, CPU to write and CPU to read (docs/adr/010).
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import history_load
import recording
from encodings_of_parquet import compare
from load import agent_measurements
from peers import Peer, Prometheus, VictoriaMetrics, require_installed, running
from processes import cpu_s
from remote_write import Connections, body, series_of
from walks import SECOND_US, between, host_tables, values_in
from watchdesk_collector.model import Table
from watchdesk_proto.catalogue import Measurement

RECORDING = Path(__file__).parent.parent / ".cache" / "bench" / "recording.pickle"
GENERATION_S, HOUR_S = 600, 3600
MANY_HOSTS = 480
FEW_HOSTS = {"walks": 60, "recorded": 8}  # eight hosts take every phase of the recording once
REQUEST_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Some hosts' tables over some time, with `values` numbers in them that are not null."""

    measurements: tuple[Measurement, ...]
    hosts: list[list[Table]]
    first_us: int
    seconds: int
    values: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=sorted(FEW_HOSTS), default=sorted(FEW_HOSTS, reverse=True))
    parser.add_argument("--encodings", action="store_true", help="compare ways to write Parquet, and nothing else")
    arguments = parser.parse_args()
    require_installed()
    for name in arguments.sets:
        if arguments.encodings:
            few = data_set(name, hosts=FEW_HOSTS[name], seconds=HOUR_S)
            compare(name, few.measurements, few.hosts, first_us=few.first_us, spans_s=(GENERATION_S, HOUR_S))
            continue
        for hosts, seconds in ((MANY_HOSTS, GENERATION_S), (FEW_HOSTS[name], HOUR_S)):
            report(name, data_set(name, hosts=hosts, seconds=seconds), is_hour=seconds == HOUR_S)


def data_set(name: str, *, hosts: int, seconds: int) -> DataSet:
    """Until about now: VictoriaMetrics takes nothing that its retention would remove."""
    first_us = (int(time.time()) - seconds) // 60 * 60 * SECOND_US
    if name == "walks":
        measurements = agent_measurements()
        of_hosts = [host_tables(measurements, host=host, first_us=first_us, ticks=seconds) for host in range(hosts)]
    else:
        recorded = recording.cached(RECORDING)
        measurements = recorded.measurements
        of_hosts = recording.hosts_of(recorded, hosts=hosts, seconds=seconds, first_us=first_us)
    values = sum(values_in(measurements, tables, first_us, first_us + seconds * SECOND_US) for tables in of_hosts)
    return DataSet(measurements=measurements, hosts=of_hosts, first_us=first_us, seconds=seconds, values=values)


def report(name: str, data: DataSet, *, is_hour: bool) -> None:
    print(f"\n{name}: {len(data.hosts)} hosts, {data.seconds // 60} minutes, {data.values / 1e6:.1f} M values", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        ours = history_load.measure(data.measurements, data.hosts, first_us=data.first_us, seconds=data.seconds, folder=Path(folder))
    if is_hour:
        show("Watchdesk, sealed every 10 minutes", ours.sealed, ours.seal_cpu_s)
        show("Watchdesk, merged", ours.merged, ours.merge_cpu_s)
    else:
        show("Watchdesk, hot tables", ours.hot)
        show("Watchdesk, hot file, free blocks included", ours.hot_file)
        show("Watchdesk, write-ahead log before checkpoints", ours.wal)
    report_prometheus(data, is_hour=is_hour)
    if is_hour:
        report_victoria_metrics(data)


def show(what: str, bytes_per_value: float, cpu_s: float | None = None) -> None:
    cpu = "" if cpu_s is None else f", {cpu_s:.3f} s of CPU per million values"
    print(f"  {what:48} {bytes_per_value:6.2f} bytes per value{cpu}", flush=True)


def report_prometheus(data: DataSet, *, is_hour: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, running(peer := Prometheus(Path(folder))):
        store(peer, data)
        if not is_hour:
            show("Prometheus, write-ahead log of the head", size_of(peer.data / "wal") / data.values)
            show("Prometheus, chunks of the head on disk", size_of(peer.data / "chunks_head") / data.values)
        began_s = cpu_s(peer.program.pid)
        block = peer.snapshot()
        spent_s = (cpu_s(peer.program.pid) - began_s) / data.values * 1e6
        show("Prometheus, block: chunks", sum(path.stat().st_size for path in block.rglob("chunks/*")) / data.values, spent_s)
        show("Prometheus, block: index", sum(path.stat().st_size for path in block.rglob("index")) / data.values)


def report_victoria_metrics(data: DataSet) -> None:
    with tempfile.TemporaryDirectory() as folder, running(peer := VictoriaMetrics(Path(folder))):
        store(peer, data)
        began_s = cpu_s(peer.program.pid)
        peer.merge()
        spent_s = (cpu_s(peer.program.pid) - began_s) / data.values * 1e6
        show("VictoriaMetrics, merged: data", size_of(peer.data / "data") / data.values, spent_s)
        show("VictoriaMetrics, merged: index", size_of(peer.data / "indexdb") / data.values)


def store(peer: Peer, data: DataSet) -> None:
    """All of it by remote write, hosts side by side as time goes on; counted afterwards."""
    until_us = data.first_us + data.seconds * SECOND_US
    for first_us in range(data.first_us, until_us, REQUEST_S * SECOND_US):
        connections = Connections(peer.address, peer.write_path, 1)
        connections.send([[request(data, host, first_us) for host in range(len(data.hosts))]])
        connections.close()
    stored = peer.count(first_ms=data.first_us // 1000, last_ms=until_us // 1000 - 1000)
    if stored != data.values:
        raise SystemExit(f"{peer.name} stored {stored:,} of {data.values:,} values: the figure would be worth nothing")


def request(data: DataSet, host: int, first_us: int) -> bytes:
    tables: Sequence[Table] = [between(table, first_us, first_us + REQUEST_S * SECOND_US) for table in data.hosts[host]]
    return body([series for table, one in zip(tables, data.measurements, strict=True) for series in series_of(table, one, f"host-{host}")])


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
