"""What happens when 500 agents return at once after an hour without their collector: is what is live held up, and by how much?

    .venv/bin/python bench/bench_return.py [--agents 500] [--away 1h]

The agents come back as `uplink` does: each on a connection of its own, again and again with its jittered back-off until the collector answers, live
before backfill, and no more backfill under way than the Welcome allows. Each has an hour of 1 s samples to send, and makes ten fresh ones every 10 s.
The collector starts while all of them try to reach it, and knows them from before. On one host memory is full from its first fresh sample on, on
another once all backlog is stored: the difference between how long the two alerts take is what the return costs alerting.
"""

import argparse
import asyncio
import random
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import grpc.aio
from fleet import GENERATORS, Generator, agent_id_of, as_it_is, encode_tables, open_channel, quantile
from load import (
    METHOD,
    LoadedCollector,
    agent_measurements,
    batch_request,
    declaration_request,
    hello_request,
    now_us,
    seqs_of,
    values_per_tick,
)
from processes import Watch, cpu_s
from walks import SECOND_US
from watchdesk_agent.uplink.trouble import backoff_s
from watchdesk_collector.model import Table
from watchdesk_proto.catalogue import Measurement
from watchdesk_proto.settings import parse_duration
from watchdesk_proto.v1 import ingest_pb2 as pb

FLUSH_S = 10.0
TICKS = 10
VARIANTS = 4
MEASUREMENTS = agent_measurements()
RULE = """
[[rule]]
name = "memory-full"
measurement = "memory"
when = "used_ratio > 150%"
clear = "used_ratio < 110%"
severity = "critical"
summary = "memory of {host} is full"
remedy = "Look."
"""


@dataclass(slots=True)
class Findings:
    """What a share of the agents saw; times are monotonic seconds, latencies from spool to ack."""

    welcomed_at_s: list[float] = field(default_factory=list)
    live: list[tuple[float, float]] = field(default_factory=list)  # when spooled, latency
    full_since_us: dict[str, int] = field(default_factory=dict)  # host to when its first sample with full memory was spooled
    acked: int = 0
    attempts: int = 0
    cpu_s: float = 0.0


class Agent:
    """One returning host."""

    def __init__(self, name: str, target: tuple[str, Path, str], backlog: Sequence[bytes], findings: Findings) -> None:
        self.name = name
        self.is_full = False
        self.agent_id = agent_id_of(name)
        self.epoch = int.from_bytes(self.agent_id.encode()[:7]) + 1
        self._target = target
        self._backlog = deque(enumerate(backlog, start=1))
        self._backlog_left = len(backlog)
        self._fresh: deque[tuple[int, bytes]] = deque()
        self._next_seq = len(backlog) + 1
        self._findings = findings
        self._spooled_at_s: dict[int, float] = {}
        self._under_way: dict[int, int] = {}  # seq to bytes of backfill
        self._limits = pb.Limits()
        self._news = asyncio.Event()
        self.has_no_backlog = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        flushing = asyncio.create_task(self._flush())
        try:
            attempts = 3  # away for long
            while True:
                self._findings.attempts += 1
                with suppress(grpc.RpcError):
                    await self._converse()
                await asyncio.sleep(backoff_s(attempts, is_refused=False, random=random.random()))
                attempts += 1
        finally:
            flushing.cancel()

    async def introduce(self) -> None:
        """Be known to the collector from before."""
        address, ca_file, token = self._target
        async with open_channel(address, ca_file, self.epoch % 2**31) as channel:
            method: grpc.aio.StreamStreamMultiCallable[bytes, pb.StreamResponse] = channel.stream_stream(
                METHOD, request_serializer=None, response_deserializer=pb.StreamResponse.FromString
            )
            call = method(iter([self._hello()]), metadata=(("authorization", f"Bearer {token}"),))
            await call.read()
            call.cancel()

    def _hello(self) -> bytes:
        return hello_request(agent_id=self.agent_id, epoch=self.epoch, host=self.name, boot_id="b")

    async def _converse(self) -> None:
        address, ca_file, token = self._target
        async with open_channel(address, ca_file, self.epoch % 2**31) as channel:
            method: grpc.aio.StreamStreamMultiCallable[bytes, pb.StreamResponse] = channel.stream_stream(
                METHOD, request_serializer=None, response_deserializer=pb.StreamResponse.FromString
            )
            welcome = asyncio.Event()
            async for answer in method(self._requests(welcome), metadata=(("authorization", f"Bearer {token}"),)):
                self._take(answer, welcome)

    async def _requests(self, welcome: asyncio.Event) -> AsyncIterator[bytes]:
        yield self._hello()
        await welcome.wait()
        for measurement in MEASUREMENTS:
            yield declaration_request(measurement)
        while True:
            request = self._next_request()
            if request is None:
                self._news.clear()
                await self._news.wait()
            else:
                yield request

    def _next_request(self) -> bytes | None:
        window = self._limits.max_in_flight
        if self._fresh and len(self._under_way) < window:
            seq, packed = self._fresh.popleft()
            self._under_way[seq] = 0
            return batch_request(self.epoch, seq, packed)
        backfill = sum(self._under_way.values())
        if self._backlog and len(self._under_way) < window - window // 4:
            seq, packed = self._backlog[0]
            if not backfill or backfill + len(packed) <= self._limits.max_backfill_bytes:
                self._backlog.popleft()
                self._under_way[seq] = len(packed)
                return batch_request(self.epoch, seq, packed, pb.LANE_BACKFILL)
        return None

    def _take(self, answer: pb.StreamResponse, welcome: asyncio.Event) -> None:
        match answer.WhichOneof("message"):
            case "welcome":
                self._limits = answer.welcome.limits
                self._findings.welcomed_at_s.append(time.monotonic())
                welcome.set()
            case "ack":
                self._settle(seqs_of(answer.ack.acked))
        self._news.set()

    def _settle(self, seqs: Iterable[int]) -> None:
        now_s = time.monotonic()
        for seq in seqs:
            if self._under_way.pop(seq, None) is None:
                continue
            self._findings.acked += 1
            if (at_s := self._spooled_at_s.pop(seq, None)) is not None:
                self._findings.live.append((at_s, now_s - at_s))
            else:
                self._backlog_left -= 1
                if not self._backlog_left:
                    self.has_no_backlog.set()

    async def _flush(self) -> None:
        await asyncio.sleep(random.random() * FLUSH_S)
        while True:
            at_s = time.monotonic()
            self._spooled_at_s[self._next_seq] = at_s
            first_us = now_us() // SECOND_US * SECOND_US - TICKS * SECOND_US
            change = _fill_memory if self.is_full else as_it_is
            self._fresh.append((self._next_seq, encode_tables(MEASUREMENTS, first_us=first_us, ticks=TICKS, seed=self._next_seq, change=change)))
            if self.is_full:
                self._findings.full_since_us.setdefault(self.name, now_us())
            self._next_seq += 1
            self._news.set()
            await asyncio.sleep(FLUSH_S)


def _fill_memory(measurement: Measurement, table: Table) -> None:
    if measurement.name == "memory":
        column = 1 + [column.name for column in measurement.columns].index("used_ratio")
        table.words[column].view("<f8")[:] = 2.0  # beyond what the other hosts' numbers ever are


async def run_share(target: tuple[str, Path, str], names: Sequence[str], away_s: float, pipe: Connection) -> None:
    """In a generator's process. Words come and go on the pipe: known, return, quiet, end."""
    findings = Findings()
    batches = round(away_s / FLUSH_S)
    until_us = now_us() // SECOND_US * SECOND_US
    variants = [
        [
            encode_tables(MEASUREMENTS, first_us=until_us - (batches - index) * TICKS * SECOND_US, ticks=TICKS, seed=number, change=as_it_is)
            for index in range(batches)
        ]
        for number in range(VARIANTS)
    ]
    agents = [Agent(name, target, variants[index % VARIANTS], findings) for index, name in enumerate(names)]
    for start in range(0, len(agents), 32):
        await asyncio.gather(*(agent.introduce() for agent in agents[start : start + 32]))
    pipe.send("known")
    await asyncio.to_thread(pipe.recv)
    cpu_before_s = time.process_time()
    agents[0].is_full = True
    running = [asyncio.create_task(agent.run()) for agent in agents]
    await asyncio.gather(*(agent.has_no_backlog.wait() for agent in agents))
    findings.cpu_s = time.process_time() - cpu_before_s
    pipe.send("quiet")
    await asyncio.to_thread(pipe.recv)
    agents[-1].is_full = True
    await asyncio.to_thread(pipe.recv)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    pipe.send(findings)


def run_in_process(target: tuple[str, Path, str], names: Sequence[str], away_s: float, pipe: Connection) -> None:
    asyncio.run(run_share(target, names, away_s, pipe))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--away", dest="away_s", type=parse_duration, default=3600.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "rules.toml")
        rules.write_text(RULE)
        collector = LoadedCollector(Path(folder), toml=f'[alerting]\nrules = ["{rules}"]\n')
        collector.start()
        try:
            measure(collector, arguments.agents, arguments.away_s)
        finally:
            collector.program.stop()


def measure(collector: LoadedCollector, agents: int, away_s: float) -> None:
    print(f"{agents} agents away for {away_s:g} s: {agents * away_s * values_per_tick(MEASUREMENTS) / 1e6:,.0f} M values to send", flush=True)
    names = [f"host-{index:04}" for index in range(agents)]
    target = (collector.address, collector.tls.authority, collector.token)
    generators = [Generator(run_in_process, target, names[number::GENERATORS], away_s) for number in range(GENERATORS)]
    for generator in generators:
        generator.expect("known")
    collector.program.stop()
    for generator in generators:
        generator.say("return")
    time.sleep(6)  # all have found it away, and are somewhere in their back-off
    collector.start()
    began_s, cpu_before_s = time.monotonic(), cpu_s(collector.program.pid)
    with Watch(collector.program.pid) as watch:
        for generator in generators:
            generator.expect("quiet")
        stored_s, cost_s = time.monotonic() - began_s, cpu_s(collector.program.pid) - cpu_before_s
        for generator in generators:
            generator.say("one more is full")
        time.sleep(60)
        for generator in generators:
            generator.say("end")
        findings = [generator.findings(Findings) for generator in generators]
    report(collector, findings, began_s=began_s, stored_s=stored_s, cost_s=cost_s, watch=watch)


def report(collector: LoadedCollector, findings: Sequence[Findings], *, began_s: float, stored_s: float, cost_s: float, watch: Watch) -> None:
    welcomed = sorted(at - began_s for each in findings for at in each.welcomed_at_s)
    attempts = sum(each.attempts for each in findings)
    print(f"   welcomed: first after {welcomed[0]:.1f} s, all after {welcomed[-1]:.1f} s of the collector's start; {attempts} attempts")
    print(f"   backlog stored after {stored_s:.1f} s, {cost_s:.1f} CPU-s of the collector ({sum(e.cpu_s for e in findings):.1f} of the generators)")
    for name, since_s, until_s in (("during the return", began_s, began_s + stored_s), ("after it", began_s + stored_s, began_s + 1e9)):
        late = sorted(latency for each in findings for at, latency in each.live if since_s <= at < until_s)
        if late:
            p50, p99 = quantile(late, 0.5), quantile(late, 0.99)
            print(f"   fresh batches {name}: {len(late)}, spool to ack p50 {p50:.2f} s, p99 {p99:.2f} s, longest {late[-1]:.2f} s")
    print(f"   resident {watch.highest_bytes / 2**20:,.0f} MiB at its highest, {watch.last_bytes / 2**20:,.0f} MiB at the end")
    full_since_us = {host: at for each in findings for host, at in each.full_since_us.items()}
    for host, at_us in sorted(full_since_us.items(), key=lambda item: item[1])[:: max(1, len(full_since_us) - 1)]:
        print(f"   alert of {host}: told {alert_delay_s(collector, host, at_us):.1f} s after its first sample with full memory was spooled")
    acked = sum(each.acked for each in findings)
    stored, different = collector.stored_batches()
    print(f"   acked {acked:,}, stored {stored:,}: lost {max(0, acked - different)}, doubled {stored - different}", flush=True)


def alert_delay_s(collector: LoadedCollector, host: str, since_us: int) -> float:
    query = "SELECT min(recorded_at_us) FROM transition JOIN host USING (host_id) WHERE rule = 'memory-full' AND to_state = 'firing' AND name = ?"
    with sqlite3.connect(f"file:{collector.state}/ops.db?mode=ro", uri=True, timeout=10) as ops:
        (recorded_us,) = ops.execute(query, (host,)).fetchone()
    return float("nan") if recorded_us is None else (recorded_us - since_us) / 1e6


if __name__ == "__main__":
    main()
