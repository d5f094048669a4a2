"""What a commit costs: groups of batches as ingest makes them, committed until the figures are steady. Values per second of CPU, all threads counted.

.venv/bin/python bench/bench_history.py [--batches 500] [--tables 10] [--fields 10] [--rows 1 10] [--groups 60] [--profile]
"""

import argparse
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import numpy as np
from walks import SECOND_US
from watchdesk_collector.clock import SystemClock, to_us
from watchdesk_collector.history import History, HistoryConfig
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Lane, Table
from watchdesk_proto.catalogue import Measurement, gauge, label


def measurements(tables: int, fields: int, labels: int) -> list[Measurement]:
    """`tables` measurements of `fields` columns, the first `labels` of which are texts."""
    columns = tuple(
        label(f"label{index}", "A label.") if index < labels else gauge(f"field{index}_ratio", "A number.", unit="ratio") for index in range(fields)
    )
    return [Measurement(name=f"bench{index}", help="A table.", columns=columns) for index in range(tables)]


def table_of(measurement: Measurement, at_us: int, rows: int, random: np.random.Generator) -> Table:
    words = np.empty((1 + len(measurement.columns), rows), np.int64)
    words[0] = at_us + np.arange(rows) * SECOND_US
    words[1:] = random.random((len(measurement.columns), rows)).view(np.int64)
    for index in range(1, 1 + len(measurement.labels)):
        words[index] = np.arange(rows) % 4
    return Table(schema_id=measurement.schema_id, words=words, texts=["/", "/home", "/var", "/srv"] if measurement.labels else ())


def group(catalogue: list[Measurement], *, batches: int, rows: int, seq: int, random: np.random.Generator) -> list[Arrival]:
    """One batch of each of `batches` hosts."""
    at_us = to_us(SystemClock().now())
    return [
        Arrival(
            host_id=host_id,
            epoch=1,
            seq=seq,
            lane=Lane.LIVE,
            received_at_us=at_us,
            content_hash=host_id,
            bytes=1000,
            tables=[table_of(measurement, at_us, rows, random) for measurement in catalogue],
        )
        for host_id in range(1, batches + 1)
    ]


def measure(history: History, catalogue: list[Measurement], arguments: argparse.Namespace, rows: int) -> None:
    random = np.random.default_rng(1)
    profile = cProfile.Profile()
    commit_s = commit_cpu_s = 0.0
    slowest_s = 0.0
    started_cpu_s = time.process_time()
    made_cpu_s = 0.0
    for seq in range(1, arguments.groups + 1):
        before_s = time.process_time()
        arrivals = group(catalogue, batches=arguments.batches, rows=rows, seq=seq + 1000 * rows, random=random)
        made_cpu_s += time.process_time() - before_s
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        if arguments.profile:
            profile.runcall(history.commit, arrivals, [])
        else:
            history.commit(arrivals, [])
        elapsed_s = time.perf_counter() - began_s
        commit_s += elapsed_s
        commit_cpu_s += time.process_time() - began_cpu_s
        slowest_s = max(slowest_s, elapsed_s)
    before_upkeep_s = time.process_time()
    history.checkpoint()
    history.seal()
    upkeep_cpu_s = time.process_time() - before_upkeep_s
    values = arguments.groups * arguments.batches * arguments.tables * arguments.fields * rows
    all_cpu_s = time.process_time() - started_cpu_s - made_cpu_s
    print(
        f"{rows:3d} rows per table: {commit_s / arguments.groups * 1e3:7.1f} ms per commit (slowest {slowest_s * 1e3:.0f}), "
        f"{values / commit_cpu_s / 1e6:6.2f} M values per core-second in commits, {values / all_cpu_s / 1e6:6.2f} M with checkpoint and sealing "
        f"({upkeep_cpu_s:.2f} s of CPU)"
    )
    if arguments.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(18)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=500)
    parser.add_argument("--tables", type=int, default=10)
    parser.add_argument("--fields", type=int, default=10)
    parser.add_argument("--labels", type=int, default=0)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--groups", type=int, default=60)
    parser.add_argument("--threads", type=int, default=HistoryConfig().threads)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    catalogue = measurements(arguments.tables, arguments.fields, arguments.labels)
    with tempfile.TemporaryDirectory() as folder:
        config = HistoryConfig(threads=arguments.threads)
        history = History(path=Path(folder), config=config, catalogue=catalogue, hosts=list, clock=SystemClock(), metrics=Metrics())
        history.open()
        for rows in arguments.rows:
            measure(history, catalogue, arguments, rows)
        history.close()


if __name__ == "__main__":
    main()
