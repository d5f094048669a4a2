"""Bytes per value between an agent and its collector, at one sample a second and a flush every ten.

    .venv/bin/python bench/bench_wire.py [--for 3m]

Two sets. `agent` is a real agent of this host with its default settings, left alone and then beside stress-ng, each for `--for`. `walks` are the
numbers of walks.py, the whole-host tables, sent by hand. Every connection goes through a relay that counts. A value is a number that is not null:
timestamps, texts and nulls are in the bytes, not in the values. `batches` is the size of the Batch messages, `socket` what went over TCP (TLS, HTTP2,
gRPC, questions for the clock, keepalive), `back` the other direction: acks and the rest. Connecting is not counted.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench_agent import make_agent
from load import LoadAgent, LoadedCollector, agent_measurements, encode, now_us
from tcp_meter import TcpMeter
from walks import SECOND_US, host_tables, values_in
from watchdesk_collector.cli.demo.waiting import Waiter
from watchdesk_proto.catalogue import Measurement, builtin
from watchdesk_proto.settings import parse_duration
from watchdesk_proto.v1 import ingest_pb2 as pb

TICKS = 10
WALKED_BATCHES = 60
STRESS = "stress-ng --quiet --cpu 1 --cpu-load 60 --vm 1 --vm-bytes 128m --hdd 1 --hdd-bytes 64m --switch 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Of everything so far."""

    batches: int
    values: int
    batch_bytes: int
    up: int
    down: int

    def since(self, before: "Sums") -> "Sums":
        return Sums(
            batches=self.batches - before.batches,
            values=self.values - before.values,
            batch_bytes=self.batch_bytes - before.batch_bytes,
            up=self.up - before.up,
            down=self.down - before.down,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="run_for_s", type=parse_duration, default=180.0)
    arguments = parser.parse_args()
    print(f"{'bytes per value':24} {'batches':>8} {'socket':>8} {'back':>8}   {'values per batch':>16}")
    with tempfile.TemporaryDirectory() as folder:
        collector = LoadedCollector(Path(folder))
        collector.start()
        try:
            with TcpMeter(int(collector.address.rpartition(":")[2])) as meter:
                measure_agent(Path(folder), collector, meter, run_for_s=arguments.run_for_s)
            with TcpMeter(int(collector.address.rpartition(":")[2])) as meter:
                show("walks", measure_walks(collector, meter))
        finally:
            collector.program.stop()


def show(name: str, sums: Sums) -> None:
    batches, up, down = (count / sums.values for count in (sums.batch_bytes, sums.up, sums.down))
    print(f"{name:24} {batches:>8.2f} {up:>8.2f} {down:>8.2f}   {sums.values / sums.batches:>16,.0f}", flush=True)


def measure_agent(folder: Path, collector: LoadedCollector, meter: TcpMeter, *, run_for_s: float) -> None:
    agent = make_agent(folder, collector, address=meter.address)
    agent.start()
    try:
        waiter = Waiter(programs=(collector.program, agent))
        _next_batch(collector, waiter)
        for name, load in (("agent, host left alone", ""), ("agent, beside stress-ng", STRESS)):
            with _running(load):
                before = _look(collector, meter, waiter)
                waiter.pause(run_for_s)
                show(name, _look(collector, meter, waiter).since(before))
    finally:
        agent.stop()


def _look(collector: LoadedCollector, meter: TcpMeter, waiter: Waiter) -> Sums:
    """Right after a batch was acked, when nothing is under way."""
    _next_batch(collector, waiter)
    return Sums(
        batches=collector.api.number("SELECT count(*) FROM batch WHERE outcome = 'stored'"),
        values=collector.api.number(f"SELECT {' + '.join(_count(measurement) for measurement in builtin())}"),
        batch_bytes=collector.api.number("SELECT sum(bytes) FROM batch WHERE outcome = 'stored'"),
        up=meter.up,
        down=meter.down,
    )


def _next_batch(collector: LoadedCollector, waiter: Waiter) -> None:
    query = "SELECT count(*) FROM batch WHERE outcome = 'stored'"
    before = collector.api.number(query)
    waiter.until("A stored batch", lambda: collector.api.number(query) > before, timeout_s=60)


def _count(measurement: Measurement) -> str:
    counts = " + ".join(f'count("{column.name}")' for column in measurement.fields)
    return f"(SELECT {counts} FROM {measurement.name})"


@contextmanager
def _running(command: str) -> Iterator[None]:
    if not command:
        yield
        return
    with tempfile.TemporaryDirectory() as scratch, subprocess.Popen([*command.split(), "--temp-path", scratch]) as process:
        try:
            yield
        finally:
            process.terminate()


def measure_walks(collector: LoadedCollector, meter: TcpMeter) -> Sums:
    measurements = agent_measurements()
    agent = LoadAgent(address=meter.address, ca_file=collector.tls.authority, token=collector.token, host="walks", window=1)
    agent.declare(measurements)
    first_us = now_us() // SECOND_US * SECOND_US - WALKED_BATCHES * TICKS * SECOND_US
    requests = list(encode(measurements, epoch=agent.epoch, batches=WALKED_BATCHES, ticks=TICKS, first_us=first_us))
    _send(agent, requests[:1], first_seq=1)
    up, down = meter.up, meter.down
    _send(agent, requests[1:], first_seq=2)
    up, down = meter.up - up, meter.down - down
    agent.finish()
    tables = host_tables(measurements, host=agent.epoch, first_us=first_us, ticks=WALKED_BATCHES * TICKS)
    return Sums(
        batches=WALKED_BATCHES - 1,
        values=values_in(measurements, tables, first_us + TICKS * SECOND_US, now_us()),
        batch_bytes=sum(pb.StreamRequest.FromString(request).batch.ByteSize() for request in requests[1:]),
        up=up,
        down=down,
    )


def _send(agent: LoadAgent, requests: Sequence[bytes], *, first_seq: int) -> None:
    """One after the other is acked."""
    for seq, request in enumerate(requests, start=first_seq):
        agent.send(seq, request)
    agent.wait_until_answered()


if __name__ == "__main__":
    main()
