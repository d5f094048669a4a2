"""What the agent costs its host, beside Debian's prometheus-node-exporter scraped each second, in one run.

    .venv/bin/python bench/bench_agent.py [--for 3m] [--settle 20s]

Both have their default settings. The agent samples each second and streams over TLS to a real collector; node_exporter, which only answers, is
scraped each second over one connection. Memory is the highest seen, CPU the whole process's, user and system, per minute.
"""

import argparse
import http.client
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from load import LoadedCollector, free_port
from processes import Memory, count, cpu_s, memory
from watchdesk_collector.cli.demo.programs import Program, command_path
from watchdesk_collector.cli.demo.waiting import Waiter
from watchdesk_proto.settings import parse_duration

EXPORTER = "/usr/bin/prometheus-node-exporter"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="run_for_s", type=parse_duration, default=180.0)
    parser.add_argument("--settle", dest="settle_s", type=parse_duration, default=20.0, help="time before measuring")
    arguments = parser.parse_args()
    if not shutil.which(EXPORTER):
        raise SystemExit(f"{EXPORTER} is not there: apt-get install prometheus-node-exporter")
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), run_for_s=arguments.run_for_s, settle_s=arguments.settle_s)


def measure(folder: Path, *, run_for_s: float, settle_s: float) -> None:
    collector = LoadedCollector(folder)
    agent, (exporter, port) = make_agent(folder, collector, address=collector.address), make_exporter(folder)
    collector.start()
    agent.start()
    exporter.start()
    try:
        waiter = Waiter(programs=(collector.program, agent, exporter))
        waiter.until("A stored sample", lambda: collector.api.number("SELECT count(*) FROM cpu") > 0, timeout_s=60)
        scrape = scraper(port)
        waiter.until("node_exporter", scrape, timeout_s=60)
        each_second(settle_s, scrape)
        before_s = [cpu_s(agent.pid), cpu_s(exporter.pid)]
        memories: list[tuple[Memory, Memory]] = []

        def scrape_and_look() -> None:
            scrape()
            memories.append((memory(agent.pid), memory(exporter.pid)))

        each_second(run_for_s, scrape_and_look)
        spent_s = [cpu_s(program.pid) - began_s for program, began_s in zip((agent, exporter), before_s, strict=True)]
        samples = collector.api.number("SELECT sum(rows) FROM batch")
    finally:
        for program in (agent, exporter, collector.program):
            program.stop()
    print(f"{run_for_s:.0f} s at one sample a second, {count()} processes on the machine; the agent stored {samples:,} rows meanwhile")
    print(f"{'':32} {'RSS':>10} {'private dirty':>14} {'CPU per minute':>15}")
    for name, number in (("watchdesk-agent", 0), ("node_exporter, scraped each 1 s", 1)):
        show(name, [pair[number] for pair in memories], 60 * spent_s[number] / run_for_s)


def show(name: str, memories: Sequence[Memory], cpu_s_per_minute: float) -> None:
    rss, dirty = max(m.rss_bytes for m in memories), max(m.private_dirty_bytes for m in memories)
    print(f"{name:32} {rss / 2**20:6.1f} MiB {dirty / 2**20:10.1f} MiB {cpu_s_per_minute:13.2f} s")


def make_agent(folder: Path, collector: LoadedCollector, *, address: str) -> Program:
    """With its default settings; `address` is where it reaches the collector."""
    config = folder / "agent.toml"
    config.write_text(
        f'state_dir = "{folder}/agent"\n'
        f'[collector]\naddress = "{address}"\nca_file = "{collector.tls.authority}"\ntoken_file = "{collector.state}/agent.token"\n'
    )
    command: list[str | Path] = [command_path("watchdesk-agent"), "run", "--config", config]
    return Program(name="watchdesk-agent", command=command, log=folder / "agent.log")


def make_exporter(folder: Path) -> tuple[Program, int]:
    port = free_port()
    return Program(name="node_exporter", command=[EXPORTER, f"--web.listen-address=127.0.0.1:{port}"], log=folder / "node_exporter.log"), port


def scraper(port: int) -> Callable[[], bool]:
    """A function that scrapes once; whether it got an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def scrape() -> bool:
        try:
            connection.request("GET", "/metrics")
            return len(connection.getresponse().read()) > 0
        except OSError:
            connection.close()
            return False

    return scrape


def each_second(seconds: float, act: Callable[[], object]) -> None:
    began_s = time.monotonic()
    for tick in range(round(seconds)):
        time.sleep(max(0.0, began_s + tick + 1 - time.monotonic()))
        act()


if __name__ == "__main__":
    main()
