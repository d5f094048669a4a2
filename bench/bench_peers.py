"""Durable ingest beside Prometheus and VictoriaMetrics: values per second of one core of the receiving process, with the same values for each.

    .venv/bin/python bench/bench_peers.py [--runs 5] [--ticks 1 10 60]

Each host sends batches of as many seconds as `--ticks` says, over a connection of its own that stays open: an agent of ours over its stream (TLS,
token), a peer's by remote write 1.0 (snappy), one request at a time. The load is encoded before the clock starts and sent by processes of their
own. Counted is the CPU of the whole receiving process, from when every series exists until a moment after the last answer; what the very first
batches cost, which make the series, is told apart. What is stored is then counted by a query. The contenders take turns.

Durable means: Watchdesk has synced its write-ahead log when it answers. Prometheus has written to its own, which it syncs when a segment of 128 MiB
is full. VictoriaMetrics keeps what it took in memory and writes it to disk a second later. `+ 16 hosts` is what the peers reach when somebody
gathers that many hosts into one request.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

from bench_ingest import spread
from load import LoadedCollector, now_us
from peer_load import MEASUREMENTS, VALUES_PER_TICK, Load, encode_ours, encode_theirs, send_ours, send_theirs
from peers import PEERS, Peer, require_installed, running
from processes import cpu_s
from walks import SECOND_US

HOSTS = 64
GENERATORS = 2
GATHERED_HOSTS = 16
DEADLINE_S = 180
SETTLE_S = 2.0  # VictoriaMetrics writes to disk what it took in the last second
# batches per host that take some seconds at the speed that each size reaches; the first is not measured
BATCHES = {1: 401, 10: 101, 60: 33}
CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run took of the receiver's CPU."""

    first_batches_cpu_s: float
    cpu_s: float


Measure = Callable[[Load, Path], Run]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ticks", type=int, nargs="+", default=[1, 10, 60], choices=sorted(BATCHES))
    arguments = parser.parse_args()
    require_installed()
    print(f"{HOSTS} hosts, {VALUES_PER_TICK} values a second each, {os.cpu_count()} cores; median of {arguments.runs} runs (lowest to highest)")
    print(f"{'ticks':>5} {'':28} {'M values per core-second':>26} {'Watchdesk is':>13} {'CPU of first batches':>21}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for ticks in arguments.ticks:
            report(ticks, measure_all(ticks, arguments.runs, Path(folder)))


def measure_all(ticks: int, runs: int, folder: Path) -> dict[str, tuple[Load, list[Run]]]:
    """Runs of every contender, in turns."""
    contenders = make_contenders(ticks, folder)
    taken: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, (load, measure) in contenders.items():
            with tempfile.TemporaryDirectory(dir=folder) as run_folder:
                taken[name].append(measure(load, Path(run_folder)))
    return {name: (contenders[name][0], taken[name]) for name in contenders}


def make_contenders(ticks: int, folder: Path) -> dict[str, tuple[Load, Measure]]:
    """Name → its load, encoded, and how it is measured. A tick is gathered from many hosts for the peers as well, for they are said to like that."""
    seconds = BATCHES[ticks] * ticks
    first_us = (now_us() // SECOND_US - seconds) * SECOND_US
    load = Load(ticks=ticks, batches=BATCHES[ticks], hosts=HOSTS, hosts_per_request=1, first_us=first_us, folder=folder)
    contenders: dict[str, tuple[Load, Measure]] = {"watchdesk": (load, measure_watchdesk)}
    contenders |= {peer.name: (load, peer_measure(peer)) for peer in PEERS}
    loads = [load]
    if ticks == 1:
        loads.append(replace(load, hosts_per_request=GATHERED_HOSTS))
        contenders |= {f"{peer.name} + {GATHERED_HOSTS} hosts": (loads[-1], peer_measure(peer)) for peer in PEERS}
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=CONTEXT) as pool:
        futures = [pool.submit(encode_ours, load, host) for host in range(HOSTS)]
        futures += [pool.submit(encode_theirs, one, host) for one in loads for host in range(0, HOSTS, one.hosts_per_request)]
        for future in futures:
            future.result()
    return contenders


def measure_watchdesk(load: Load, folder: Path) -> Run:
    """One run against a fresh collector."""
    collector = LoadedCollector(folder)
    collector.start()
    try:
        target = (collector.address, collector.tls.authority, collector.token)
        run = watch(collector.program.pid, load, send_ours, target, range(load.hosts))
        rows = [collector.api.number(f"SELECT count(*) FROM {measurement.name}") for measurement in MEASUREMENTS]
        stored = sum(count * len(measurement.fields) for count, measurement in zip(rows, MEASUREMENTS, strict=True))
    finally:
        collector.program.stop()
    require_all("watchdesk", stored, load)
    return run


def peer_measure(peer_type: type[Peer]) -> Measure:
    """A function that makes one run against a fresh server."""

    def measure(load: Load, folder: Path) -> Run:
        with running(peer_type(folder)) as peer:
            run = watch(peer.program.pid, load, send_theirs, (peer.address, peer.write_path), range(0, load.hosts, load.hosts_per_request))
            first_ms = load.first_us // 1000
            stored = peer.count(first_ms=first_ms, last_ms=first_ms + 1000 * (load.seconds - 1))
        require_all(peer.name, stored, load)
        return run

    return measure


def require_all(name: str, stored: int, load: Load) -> None:
    if stored != load.values:
        raise SystemExit(f"{name} stored {stored:,} of {load.values:,} values: the figure would be worth nothing")


def watch(pid: int, load: Load, send: Callable[..., None], target: object, hosts: Sequence[int]) -> Run:
    """Send from generators that start together, and see what it costs this process."""
    gate: Barrier = CONTEXT.Barrier(GENERATORS + 1, timeout=DEADLINE_S)
    generators = [CONTEXT.Process(target=send, args=(load, target, hosts[number::GENERATORS], gate)) for number in range(GENERATORS)]
    for generator in generators:
        generator.start()
    gate.wait()
    connected_cpu_s = cpu_s(pid)
    gate.wait()
    began_cpu_s = cpu_s(pid)
    gate.wait()
    for generator in generators:
        generator.join()
    time.sleep(SETTLE_S)
    return Run(first_batches_cpu_s=began_cpu_s - connected_cpu_s, cpu_s=cpu_s(pid) - began_cpu_s)


def report(ticks: int, runs_by_name: dict[str, tuple[Load, list[Run]]]) -> None:
    per_core = {name: [load.measured_values / run.cpu_s / 1e6 for run in runs] for name, (load, runs) in runs_by_name.items()}
    ours = statistics.median(per_core["watchdesk"])
    for name, (_, runs) in runs_by_name.items():
        ratio = "" if name == "watchdesk" else f"{ours / statistics.median(per_core[name]):.2f} x"
        first = statistics.median(run.first_batches_cpu_s for run in runs)
        print(f"{ticks:>5} {name:28} {spread(per_core[name], '{:.2f}'):>26} {ratio:>13} {first:>19.2f} s", flush=True)


if __name__ == "__main__":
    main()
