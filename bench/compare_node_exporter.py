"""Hold the samplers against Debian's prometheus-node-exporter on the same host.

Each round is scrape, one tick of every sampler, scrape. A counter must lie between the two scrapes; a gauge too, give or take a stated tolerance; a
rate between the slowest and the fastest that the scrapes around this tick and the one before it allow. Prints a table of all fields; the exit code is
1 when one is off, 2 when node_exporter is not there.
"""

import argparse
import contextlib
import itertools
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from node_exporter_fields import Field, Kind, Labels, Scrape, fields
from watchdesk_agent.model import Instant, Row, Sampler, Value, check_rows
from watchdesk_agent.sampling import SAMPLERS, SamplingContext, SamplingFilters
from watchdesk_proto.catalogue import Kind as ColumnKind
from watchdesk_proto.catalogue import Measurement

EXPORTER = "/usr/bin/prometheus-node-exporter"
FLOAT_NOISE = 1e-9  # of the value: they multiply milliseconds by 0.001, we divide by 1000
LOAD = ["--cpu", "2", "--io", "1", "--hdd", "1", "--vm", "1", "--vm-bytes", "256M", "--switch", "1"]
_LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick, with the scrapes around it. `rows` by measurement."""

    before: Scrape
    at_s: float
    rows: dict[str, list[dict[str, Value]]]
    after: Scrape


@dataclass(slots=True)
class Verdict:
    """How one field fared over all rounds; deviations are from the nearest value that the scrapes allow."""

    compared: int = 0
    worst: float = 0.0
    example: str = ""

    def note(self, deviation: float, example: str) -> None:
        self.compared += 1
        if deviation > self.worst:
            self.worst, self.example = deviation, example


@dataclass(slots=True)
class Report:
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def of(self, compared: Field) -> Verdict:
        return self.verdicts.setdefault(compared.ours, Verdict())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between rounds")
    parser.add_argument("--under-load", action="store_true", help="run stress-ng meanwhile")
    options = parser.parse_args()
    if not shutil.which(EXPORTER):
        print(f"{EXPORTER} is not there: apt install prometheus-node-exporter", file=sys.stderr)
        return 2
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(exporter())
        if options.under_load:
            stack.enter_context(load())
        moments = take_moments(address, rounds=options.rounds, interval_s=options.interval)
    compared = fields(cpus=os.cpu_count() or 1, page_bytes=os.sysconf("SC_PAGE_SIZE"))
    report = compare(moments, compared)
    return print_report(compared, report, rounds=options.rounds)


@contextlib.contextmanager
def exporter() -> Iterator[str]:
    """node_exporter on a free loopback port; ended by its process id."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    arguments = [EXPORTER, f"--web.listen-address={address}", "--collector.processes", "--no-collector.systemd"]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(address)
        yield address
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def load() -> Iterator[None]:
    """stress-ng for as long as it takes."""
    if not shutil.which("stress-ng"):
        raise SystemExit("stress-ng is not there: apt install stress-ng")
    process = subprocess.Popen(["stress-ng", *LOAD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp")
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for(address: str) -> None:
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        with contextlib.suppress(OSError):
            scrape(address)
            return
        time.sleep(0.05)
    raise SystemExit(f"node_exporter does not answer on {address}")


def scrape(address: str) -> Scrape:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        return parse_exposition(answer.read().decode())


def parse_exposition(text: str) -> Scrape:
    """The Prometheus text format, as far as node_exporter uses it."""
    series: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            labels = frozenset(_LABEL.findall(match[2] or ""))
            series.setdefault(match[1], {})[labels] = float(match[3])
    return Scrape(series)


def take_moments(address: str, *, rounds: int, interval_s: float) -> list[Moment]:
    context = SamplingContext(filters=SamplingFilters(), clock_offset_s=lambda: None, agent_version="compared")
    samplers = [make(context) for make in SAMPLERS]
    moments = []
    for number in range(rounds):
        before = scrape(address)
        at = Instant(slot_us=number, monotonic_s=time.monotonic())
        rows = {sampler.measurement.name: tick(sampler, at) for sampler in samplers}
        moments.append(Moment(before, at.monotonic_s, rows, scrape(address)))
        time.sleep(interval_s)
    return moments


def tick(sampler: Sampler, at: Instant) -> list[dict[str, Value]]:
    rows = sampler.sample(at)
    check_rows(sampler.measurement, rows)
    return [named(sampler.measurement, row) for row in rows]


def named(measurement: Measurement, row: Row) -> dict[str, Value]:
    return dict(zip((column.name for column in measurement.columns), row, strict=True))


def compare(moments: Sequence[Moment], compared: Sequence[Field]) -> Report:
    report = Report()
    for previous, moment in itertools.pairwise([None, *moments]):
        assert moment is not None
        for one in compared:
            for row in moment.rows[one.ours.partition(".")[0]]:
                compare_value(one, row, previous, moment, report.of(one))
    return report


def compare_value(one: Field, row: dict[str, Value], previous: Moment | None, moment: Moment, verdict: Verdict) -> None:
    labels = {name: value for name, value in row.items() if isinstance(value, str)}
    value = row[one.ours.partition(".")[2]]
    if one.kind is Kind.TEXT:
        theirs = one.read(moment.before, labels)
        verdict.note(float(value != theirs), f"{value!r} beside {theirs!r}")
        return
    bounds = rate_bounds(one, labels, previous, moment) if one.kind is Kind.RATE else value_bounds(one, labels, moment)
    if bounds is None or not isinstance(value, int | float):
        return
    low, high = bounds
    deviation = max(0.0, low - value, value - high)
    if deviation <= FLOAT_NOISE * max(1.0, abs(value)):
        deviation = 0.0
    verdict.note(deviation, f"{value!r} beside {low!r} … {high!r}")


def value_bounds(one: Field, labels: Labels, moment: Moment) -> tuple[float, float] | None:
    values = [value for scraped in (moment.before, moment.after) if isinstance(value := one.read(scraped, labels), float)]
    return (min(values), max(values)) if len(values) == 2 else None


def rate_bounds(one: Field, labels: Labels, previous: Moment | None, moment: Moment) -> tuple[float, float] | None:
    """Our two readings lie somewhere between their scrapes: what they can have grown by at least and at most."""
    if previous is None:
        return None
    grown = growth(one.read, labels, previous, moment)
    elapsed_s = moment.at_s - previous.at_s
    spent = (elapsed_s, elapsed_s) if one.per is None else growth(one.per, labels, previous, moment)
    if grown is None or spent is None or spent[1] <= 0:
        return None
    most = (grown[1] + one.rounding) / spent[0] if spent[0] > 0 else math.inf
    return max(0.0, grown[0] - one.rounding) / spent[1], most


def growth(read: Callable[[Scrape, Labels], float | str | None], labels: Labels, previous: Moment, moment: Moment) -> tuple[float, float] | None:
    scrapes = (previous.before, previous.after, moment.before, moment.after)
    values = [value for scraped in scrapes if isinstance(value := read(scraped, labels), float)]
    if len(values) < len(scrapes):
        return None
    first, second, third, fourth = values
    return max(0.0, third - second), fourth - first


def print_report(compared: Sequence[Field], report: Report, *, rounds: int) -> int:
    failed = [one for one in compared if not passes(one, report.of(one))]
    heads = ("our field", "kind", "node_exporter's", "tolerance", "worst deviation", "compared", "verdict")
    table = [heads, *(line(one, report.of(one)) for one in compared)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    print(f"\nNot in node_exporter: {', '.join(without_counterpart(compared))}")
    for one in failed:
        print(f"OFF: {one.ours}: {report.of(one).example}")
    seen = [one for one in compared if report.of(one).compared]
    counts = ", ".join(f"{sum(one.kind is kind for one in seen)} {kind}s" for kind in Kind)
    print(f"{rounds} rounds, {len(seen)} fields compared ({counts}), {sum(report.of(one).compared for one in seen)} values, {len(failed)} fields off")
    return 1 if failed else 0


def passes(one: Field, verdict: Verdict) -> bool:
    return verdict.worst <= one.tolerance


def line(one: Field, verdict: Verdict) -> tuple[str, ...]:
    judged = "no such series here" if not verdict.compared else "ok" if passes(one, verdict) else "OFF"
    return (one.ours, one.kind.value, one.theirs, f"{one.tolerance:g}", f"{verdict.worst:g}", str(verdict.compared), judged)


def without_counterpart(compared: Sequence[Field]) -> list[str]:
    context = SamplingContext(filters=SamplingFilters(), clock_offset_s=lambda: None, agent_version="")
    measurements = [make(context).measurement for make in SAMPLERS]
    ours = [f"{m.name}.{column.name}" for m in measurements for column in m.columns if column.kind is not ColumnKind.LABEL]
    known = {one.ours for one in compared}
    return [name for name in ours if name not in known]


if __name__ == "__main__":
    sys.exit(main())
