"""What grows with hosts, and what with days of history: ingest's CPU, the collector's memory, its start, three queries of an operator, the status
page.

    .venv/bin/python bench/bench_growth.py [--hosts 10 100 1000 5000] [--days 1 7 30] [--day-hosts 100]

Hosts: each step is a collector of its own, with a day of history. Days: one collector with `--day-hosts` hosts, whose history grows backwards.
History is written beforehand, a sample every two minutes of cpu, memory and disk. Then every step is the same: hosts (multiplexed streams) send a
batch of 10 samples of 112 values every 10 s, three times, and the collector is asked. For queries and page there are seconds until the answer, and
in brackets the CPU that the collector and the query's own process took. Below each part, how fast a figure grows from step to step: the exponent b of
n^b, of the CPU where there are two; 0 does not grow, 1 is linear, and what is clearly above is marked.
"""

import argparse
import itertools
import math
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fleet import Findings, Plan, agent_id_of, connect_fleet, summed
from load import LoadedCollector, agent_measurements, now_us, values_per_tick
from past import write_past
from processes import Watch, cpu_s, cpu_with_children_s

TICKS, FLUSH_S, FLUSHES = 10, 10.0, 3
STREAMS_PER_CONNECTION = 100
IDLE_S = 3.0
RUNS = 3
WORSE_THAN_LINEAR = 1.15
QUERIES = {
    "last value": "SELECT host, arg_max(busy_ratio, ts) FROM cpu WHERE ts > now() - INTERVAL 5 MINUTE GROUP BY host",
    "one host's hour": "SELECT date_trunc('minute', ts) AS minute, avg(busy_ratio) FROM cpu "
    "WHERE host = 'host-00000' AND ts > now() - INTERVAL 1 HOUR GROUP BY minute ORDER BY minute",
    "day's highest": "SELECT host, max(used_ratio) FROM disk WHERE ts > now() - INTERVAL 1 DAY GROUP BY host",
}
PAGE_FRESH_S = 0.2
TOML = f'refresh_interval = "{PAGE_FRESH_S}s"\n'  # in [web]: each look at the status page is a fresh one


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """As it is shown, and the number whose growth counts."""

    text: str
    number: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one size of `n` hosts or days cost."""

    n: int
    figures: dict[str, Figure]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="*", default=[10, 100, 1000, 5000])
    parser.add_argument("--days", type=int, nargs="*", default=[1, 7, 30], help="ascending")
    parser.add_argument("--day-hosts", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.hosts:
        report("hosts", (measure_hosts(hosts) for hosts in arguments.hosts))
    if arguments.days:
        report("days", measure_days(arguments.days, arguments.day_hosts))


def measure_hosts(hosts: int) -> Step:
    with tempfile.TemporaryDirectory() as folder:
        collector = LoadedCollector(Path(folder), toml=TOML)
        introduce(collector, hosts)
        write_past(collector.state, agent_ids(hosts), now_us=now_us(), days=[0])
        return Step(n=hosts, figures=measure(collector, hosts))


def measure_days(days: Sequence[int], hosts: int) -> Iterator[Step]:
    with tempfile.TemporaryDirectory() as folder:
        collector = LoadedCollector(Path(folder), toml=TOML)
        introduce(collector, hosts)
        began_us, written = now_us(), 0
        for until in days:
            write_past(collector.state, agent_ids(hosts), now_us=began_us, days=range(written, until))
            written = until
            yield Step(n=until, figures=measure(collector, hosts))


def introduce(collector: LoadedCollector, hosts: int) -> None:
    """The hosts connect once, so that the collector knows them."""
    collector.start()
    try:
        for generator in connect_fleet(collector, plan(flushes=0), hosts=hosts):
            generator.say("begin")
            generator.findings(Findings)
    finally:
        collector.program.stop(timeout_s=60)


def measure(collector: LoadedCollector, hosts: int) -> dict[str, Figure]:
    """Start it, load it, ask it, stop it."""
    began_s = time.monotonic()
    collector.start()
    start_s = time.monotonic() - began_s
    try:
        with Watch(collector.program.pid) as watch:
            idle_cores, cores, cpu_s_per_million = load(collector, hosts)
            asked = {name: ask(collector, partial(collector.api.sql, query)) for name, query in QUERIES.items()}
            page = ask(collector, partial(look, collector.url))
    finally:
        collector.program.stop(timeout_s=60)
    return {
        "start s": figure("{:.2f}", start_s),
        "idle cores": figure("{:.3f}", idle_cores),
        "cores": figure("{:.3f}", cores),
        "CPU s/M values": figure("{:.3f}", cpu_s_per_million),
        "RSS MiB": figure("{:.0f}", watch.highest_bytes / 2**20),
        **asked,
        "status page": page,
    }


def figure(form: str, number: float) -> Figure:
    return Figure(text=form.format(number), number=number)


def load(collector: LoadedCollector, hosts: int) -> tuple[float, float, float]:
    """Cores while the hosts are connected and silent, cores while they send, CPU seconds per million values."""
    generators = connect_fleet(collector, plan(flushes=FLUSHES), hosts=hosts)
    idle = Usage(collector)
    time.sleep(IDLE_S)
    idle_cores = idle.cores()
    usage = Usage(collector)
    for generator in generators:
        generator.say("begin")
    findings = summed([generator.findings(Findings) for generator in generators])
    cores, cpu = usage.cores(), usage.cpu_s()
    if findings.acked != hosts * FLUSHES:
        raise SystemExit(f"{findings.acked} of {hosts * FLUSHES} batches are acked: the figure would be worth nothing")
    values = findings.acked * TICKS * values_per_tick(agent_measurements())
    return idle_cores, cores, cpu / values * 1e6


class Usage:
    """CPU of a collector since this was made."""

    def __init__(self, collector: LoadedCollector) -> None:
        self._pid = collector.program.pid
        self._began_s, self._before_s = time.monotonic(), cpu_s(self._pid)

    def cpu_s(self) -> float:
        return cpu_s(self._pid) - self._before_s

    def cores(self) -> float:
        return self.cpu_s() / (time.monotonic() - self._began_s)


def plan(*, flushes: int) -> Plan:
    return Plan(measurements=agent_measurements(), streams_per_connection=STREAMS_PER_CONNECTION, ticks=TICKS, flush_s=FLUSH_S, flushes=flushes)


def agent_ids(hosts: int) -> list[str]:
    return [agent_id_of(f"host-{index:05}") for index in range(hosts)]


def ask(collector: LoadedCollector, question: Callable[[], object]) -> Figure:
    """The median of some runs, each after the status page has grown old."""
    walls_s, cpus_s = [], []
    for _ in range(RUNS):
        time.sleep(PAGE_FRESH_S)
        began_s, before_s = time.monotonic(), cpu_with_children_s(collector.program.pid)
        question()
        walls_s.append(time.monotonic() - began_s)
        cpus_s.append(cpu_with_children_s(collector.program.pid) - before_s)
    wall_s, used_s = statistics.median(walls_s), statistics.median(cpus_s)
    return Figure(text=f"{wall_s:.2f} ({used_s:.2f})", number=used_s)


def look(url: str) -> int:
    """Bytes of the status page."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        return len(answer.read())


def report(what: str, steps: Iterable[Step]) -> None:
    """A line per step, as soon as it is measured; then how fast things grow."""
    measured: list[Step] = []
    for step in steps:
        if not measured:
            line(what, step.figures)
        measured.append(step)
        line(f"{step.n:,}", [figure.text for figure in step.figures.values()])
    for before, after in itertools.pairwise(measured):
        grown = [mark(exponent(before, after, name)) for name in after.figures]
        line(f"{before.n:,}-{after.n:,}", grown)


def line(first: str, cells: Iterable[str]) -> None:
    print(f"{first:>12}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def mark(value: float) -> str:
    return f"{value:.2f} {'!' if value > WORSE_THAN_LINEAR else ' '}"


def exponent(before: Step, after: Step, name: str) -> float:
    """b, when the figure grew as n^b; nothing is said of what is too small to measure."""
    smaller, larger = before.figures[name].number, after.figures[name].number
    return math.log(larger / smaller) / math.log(after.n / before.n) if smaller > 0 < larger else math.nan


if __name__ == "__main__":
    main()
