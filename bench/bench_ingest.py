"""How many values a collector ingests per second of one core: its whole process is counted (TLS, gRPC, decoding, commit, fsync, acks, sealing), and
nothing of the load generators, which run in processes of their own with everything encoded before the clock starts.

    .venv/bin/python bench/bench_ingest.py [--runs 5] [--ticks 1 10] [--shapes agent wide]

Prints a line per shape and ticks per batch: the median over the runs, and the lowest and highest. `wide` is one table of 100 doubles; `agent` are the
whole-host tables that an agent really sends.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from load import LoadAgent, LoadedCollector, agent_measurements, encode, now_us, values_per_tick, wide_measurement
from processes import cpu_s
from walks import SECOND_US
from watchdesk_proto.catalogue import Measurement

AGENTS = 64
GENERATORS = 2
SHAPES: dict[str, tuple[Measurement, ...]] = {"wide": (wide_measurement(100),), "agent": agent_measurements()}
# batches per agent that take some seconds at the speed that each size reaches
BATCHES = {1: 500, 10: 300, 60: 120}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a load took: the collector's CPU, and the time on the clock."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run stored, and at what cost."""

    batches: int
    values: int
    cpu_s: float
    wall_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ticks", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--shapes", nargs="+", choices=sorted(SHAPES), default=sorted(SHAPES))
    arguments = parser.parse_args()
    print(f"{AGENTS} agents over TLS, {GENERATORS} generator processes, {os.cpu_count()} cores; median of {arguments.runs} runs (lowest to highest)")
    print(f"{'shape':6} {'values':>6} {'ticks':>5}  {'M values per core-second':>28}  {'batches per core-second':>26}  {'M values/s':>10}")
    for shape in arguments.shapes:
        for ticks in arguments.ticks:
            report(shape, ticks, [measure(shape, ticks) for _ in range(arguments.runs)])


def report(shape: str, ticks: int, runs: Sequence[Run]) -> None:
    values = spread([run.values / run.cpu_s / 1e6 for run in runs], "{:.2f}")
    batches = spread([run.batches / run.cpu_s for run in runs], "{:,.0f}")
    wall = statistics.median(run.values / run.wall_s / 1e6 for run in runs)
    print(f"{shape:6} {values_per_tick(SHAPES[shape]):>6} {ticks:>5}  {values:>28}  {batches:>26}  {wall:>10.2f}", flush=True)


def spread(figures: Sequence[float], form: str) -> str:
    return f"{form.format(statistics.median(figures))} ({form.format(min(figures))} to {form.format(max(figures))})"


def measure(shape: str, ticks: int) -> Run:
    """One run against a fresh collector."""
    with tempfile.TemporaryDirectory() as folder:
        collector = LoadedCollector(Path(folder))
        collector.start()
        try:
            cost = load(collector, shape, ticks)
            stored = collector.api.number("SELECT count(*) FROM batch WHERE outcome = 'stored'")
        finally:
            collector.program.stop()
    if stored != AGENTS * BATCHES[ticks]:
        raise SystemExit(f"{stored} of {AGENTS * BATCHES[ticks]} batches are stored: the figure would be worth nothing")
    return Run(batches=stored, values=stored * ticks * values_per_tick(SHAPES[shape]), cpu_s=cost.cpu_s, wall_s=cost.wall_s)


def load(collector: LoadedCollector, shape: str, ticks: int) -> Cost:
    """Send everything, from generators that start together; what it cost the collector until the last ack."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(GENERATORS + 1), context.Barrier(GENERATORS + 1)
    target = (collector.address, collector.tls.authority, collector.token)
    generators = [context.Process(target=generate, args=(target, shape, ticks, number, ready, done)) for number in range(GENERATORS)]
    for generator in generators:
        generator.start()
    ready.wait()
    cpu_before_s, began_s = cpu_s(collector.program.pid), time.monotonic()
    done.wait()
    cost = Cost(cpu_s=cpu_s(collector.program.pid) - cpu_before_s, wall_s=time.monotonic() - began_s)
    for generator in generators:
        generator.join()
    return cost


def generate(target: tuple[str, Path, str], shape: str, ticks: int, number: int, ready: Barrier, done: Barrier) -> None:
    """In a process of its own: connect a share of the agents, encode all their batches, and send them when everybody is ready."""
    address, ca_file, token = target
    agents = [LoadAgent(address=address, ca_file=ca_file, token=token, host=f"load-{index}") for index in range(number, AGENTS, GENERATORS)]
    for agent in agents:
        agent.declare(SHAPES[shape])
    first_us = now_us() // SECOND_US * SECOND_US - BATCHES[ticks] * ticks * SECOND_US
    requests = [list(encode(SHAPES[shape], epoch=agent.epoch, batches=BATCHES[ticks], ticks=ticks, first_us=first_us)) for agent in agents]
    ready.wait()
    for seq in range(1, BATCHES[ticks] + 1):
        for agent, encoded in zip(agents, requests, strict=True):
            agent.send(seq, encoded[seq - 1])
    for agent in agents:
        agent.finish()
    done.wait()


if __name__ == "__main__":
    main()
