"""What a fleet costs: a real collector over TLS with its defaults, and many hosts that send at their own phase, as agents do.

    .venv/bin/python bench/bench_fleet.py [--scenario connections hosts] [--for 5m]

`connections`: 1,000 hosts, each with a connection of its own, a flush a second. `hosts`: 5,000 hosts (100 streams share a connection), a flush
every 10 s with ten samples of each of 112 values. Prints per scenario: p50 and p99 from send to ack, the collector's CPU in cores, its resident
memory (at the end and at its highest), and what was lost or doubled, by SQL. The generators' CPU is told apart.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fleet import Findings, Plan, connect_fleet, quantile, summed
from load import LoadedCollector, agent_measurements, values_per_tick
from processes import Watch, cpu_s
from watchdesk_proto.settings import parse_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A fleet."""

    hosts: int
    streams_per_connection: int
    ticks: int
    flush_s: float


SCENARIOS = {
    "connections": Scenario(hosts=1000, streams_per_connection=1, ticks=1, flush_s=1.0),
    "hosts": Scenario(hosts=5000, streams_per_connection=100, ticks=10, flush_s=10.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--for", dest="length_s", type=parse_duration, default=300.0, help="how long each sends (default 5m)")
    parser.add_argument("--hosts", type=int, help="another number of hosts")
    parser.add_argument("--keep", type=Path, help="leave the collector's folder there")
    arguments = parser.parse_args()
    for name in arguments.scenario:
        scenario = SCENARIOS[name]
        measure(name, scenario, hosts=arguments.hosts or scenario.hosts, length_s=arguments.length_s, folder=arguments.keep)


def measure(name: str, scenario: Scenario, *, hosts: int, length_s: float, folder: Path | None) -> None:
    plan = Plan(
        measurements=agent_measurements(),
        streams_per_connection=scenario.streams_per_connection,
        ticks=scenario.ticks,
        flush_s=scenario.flush_s,
        flushes=round(length_s / scenario.flush_s),
    )
    with tempfile.TemporaryDirectory() as temporary:
        collector = LoadedCollector(folder or Path(temporary))
        collector.start()
        try:
            _run(name, hosts, plan, collector)
        finally:
            collector.program.stop()


def _run(name: str, hosts: int, plan: Plan, collector: LoadedCollector) -> None:
    print(f"== {name}: {hosts:,} hosts, {values_per_tick(plan.measurements)} values per second each, a flush every {plan.flush_s:g} s", flush=True)
    began_s = time.monotonic()
    cpu_connecting_s = cpu_s(collector.program.pid)
    generators = connect_fleet(collector, plan, hosts=hosts)
    cpu_before_s, at_s = cpu_s(collector.program.pid), time.monotonic()
    print(f"   connected within {at_s - began_s:.1f} s, {cpu_before_s - cpu_connecting_s:.1f} CPU-s of the collector", flush=True)
    with Watch(collector.program.pid) as watch:
        for generator in generators:
            generator.say("begin")
        findings = summed([generator.findings(Findings) for generator in generators])
        cpu, wall_s = cpu_s(collector.program.pid) - cpu_before_s, time.monotonic() - at_s
    report(findings, plan, hosts, collector, cpu=cpu, wall_s=wall_s, watch=watch)


def report(findings: Findings, plan: Plan, hosts: int, collector: LoadedCollector, *, cpu: float, wall_s: float, watch: Watch) -> None:
    latencies = sorted(findings.latencies_s)
    values = findings.acked * plan.ticks * values_per_tick(plan.measurements)
    print(f"   sent {findings.sent:,} batches, acked {findings.acked:,}, rejected {findings.rejected}, broken streams {findings.broken_streams}")
    print(f"   ack latency p50 {quantile(latencies, 0.5):.3f} s, p99 {quantile(latencies, 0.99):.3f} s, longest {latencies[-1]:.3f} s")
    print(f"   collector {cpu / wall_s:.2f} cores over {wall_s:.0f} s ({values / cpu / 1e6:.2f} M values per core-second)")
    print(f"   resident {watch.last_bytes / 2**20:,.0f} MiB at the end, {watch.highest_bytes / 2**20:,.0f} MiB at its highest")
    print(f"   generators {findings.cpu_s / wall_s:.2f} cores", flush=True)
    stored, different = collector.stored_batches()
    rows = collector.api.number("SELECT count(*) FROM cpu")
    print(f"   by SQL: {stored:,} batches stored, lost {findings.acked - different}, doubled {stored - different}; {rows:,} rows of cpu", flush=True)


if __name__ == "__main__":
    main()
