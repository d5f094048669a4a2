"""Many agents from few processes, for `bench_fleet.py`: a stream per host, batches at each host's own phase, latency per ack.

What a batch holds is packed once per flush for a handful of hosts and shared by the rest: only epoch and seq differ. So the generator stays cheap
beside what it measures. Nothing here is part of the product.
"""

import asyncio
import multiprocessing
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio
from load import METHOD, LoadedCollector, batch_request, declaration_request, hello_request, now_us, pack, seqs_of
from walks import SECOND_US, host_tables
from watchdesk_collector.model import Table
from watchdesk_proto.catalogue import Measurement
from watchdesk_proto.v1 import ingest_pb2 as pb

GENERATORS = 2
VARIANTS = 16
CONNECT_AT_ONCE = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every host of a fleet does: a batch of `ticks` samples, one second apart, every `flush_s` seconds, for `flushes` times.

    Hosts share connections, `streams_per_connection` of them each.
    """

    measurements: tuple[Measurement, ...]
    streams_per_connection: int
    ticks: int
    flush_s: float
    flushes: int


@dataclass(slots=True)
class Findings:
    """What a share of the fleet saw. Latencies are seconds from send to ack."""

    sent: int = 0
    acked: int = 0
    rejected: int = 0
    broken_streams: int = 0
    latencies_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


class Host:
    """One host's stream."""

    def __init__(self, name: str, channel: grpc.aio.Channel, token: str, findings: Findings) -> None:
        self.epoch = random.getrandbits(62) + 1
        self.phase = random.random()
        self._name = name
        self._findings = findings
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._sent_at_s: dict[int, float] = {}
        self._welcome = asyncio.Event()
        self._all_settled = asyncio.Event()
        call: grpc.aio.StreamStreamMultiCallable[bytes, pb.StreamResponse] = channel.stream_stream(
            METHOD, request_serializer=None, response_deserializer=pb.StreamResponse.FromString
        )
        self._call = call(self._requests(), metadata=(("authorization", f"Bearer {token}"),))
        self._reader: asyncio.Task[None] | None = None

    async def greet(self, measurements: Sequence[Measurement]) -> None:
        """The collector has welcomed this host when this returns."""
        self._outbox.put_nowait(hello_request(agent_id=agent_id_of(self._name), epoch=self.epoch, host=self._name))
        for measurement in measurements:
            self._outbox.put_nowait(declaration_request(measurement))
        self._reader = asyncio.create_task(self._read())
        await asyncio.wait_for(self._welcome.wait(), 120)

    def send(self, seq: int, packed: bytes) -> None:
        self._sent_at_s[seq] = time.monotonic()
        self._findings.sent += 1
        self._outbox.put_nowait(batch_request(self.epoch, seq, packed))

    async def finish(self, *, within_s: float) -> None:
        """Wait for the last acks, then end the stream."""
        if self._sent_at_s:
            self._all_settled.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_settled.wait(), within_s)
        self._outbox.put_nowait(None)
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=10)

    async def _requests(self) -> AsyncIterator[bytes]:
        while (request := await self._outbox.get()) is not None:
            yield request

    async def _read(self) -> None:
        try:
            async for answer in self._call:
                self._take(answer)
        except grpc.RpcError:
            self._findings.broken_streams += 1

    def _take(self, answer: pb.StreamResponse) -> None:
        match answer.WhichOneof("message"):
            case "welcome":
                self._welcome.set()
            case "ack":
                self._settle(seqs_of(answer.ack.acked))
            case "reject":
                self._sent_at_s.pop(answer.reject.seq, None)
                self._findings.rejected += 1
                self._note_settled()

    def _settle(self, seqs: Iterable[int]) -> None:
        now_s = time.monotonic()
        for seq in seqs:
            if (sent_at_s := self._sent_at_s.pop(seq, None)) is not None:
                self._findings.latencies_s.append(now_s - sent_at_s)
                self._findings.acked += 1
        self._note_settled()

    def _note_settled(self) -> None:
        if not self._sent_at_s:
            self._all_settled.set()


def agent_id_of(name: str) -> str:
    """The same in every run, so that a host that comes again is known."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


async def run_share(*, address: str, ca_file: Path, token: str, names: Sequence[str], plan: Plan, ready: Callable[[], Awaitable[None]]) -> Findings:
    """Connect these hosts, say `ready` (which waits until all shares are), and send the plan's batches at each host's phase."""
    findings = Findings()
    channels = [open_channel(address, ca_file, number) for number in range(-(-len(names) // plan.streams_per_connection))]
    gate = asyncio.Semaphore(CONNECT_AT_ONCE)

    async def connect(index: int, name: str) -> Host:
        async with gate:
            host = Host(name, channels[index // plan.streams_per_connection], token, findings)
            await host.greet(plan.measurements)
            return host

    hosts = await asyncio.gather(*(connect(index, name) for index, name in enumerate(names)))
    await ready()
    cpu_before_s = time.process_time()
    await _send_all(hosts, plan)
    await asyncio.gather(*(host.finish(within_s=60) for host in hosts))
    findings.cpu_s = time.process_time() - cpu_before_s
    for channel in channels:
        await channel.close()
    return findings


async def _send_all(hosts: Sequence[Host], plan: Plan) -> None:
    by_phase = sorted(hosts, key=lambda host: host.phase)
    began_s = time.monotonic()
    for flush in range(plan.flushes):
        variants = encode_variants(plan, flush)
        for index, host in enumerate(by_phase):
            due_s = began_s + (flush + host.phase) * plan.flush_s
            if (wait_s := due_s - time.monotonic()) > 0.002:
                await asyncio.sleep(wait_s)
            elif index % 16 == 0:
                await asyncio.sleep(0)
            host.send(flush + 1, variants[index % VARIANTS])


def encode_variants(plan: Plan, flush: int) -> list[bytes]:
    """The tables of one flush, as some hosts would have sampled them until now."""
    first_us = now_us() // SECOND_US * SECOND_US - plan.ticks * SECOND_US
    return [
        encode_tables(plan.measurements, first_us=first_us, ticks=plan.ticks, seed=flush * VARIANTS + number, change=as_it_is)
        for number in range(VARIANTS)
    ]


def encode_tables(
    measurements: Sequence[Measurement], *, first_us: int, ticks: int, seed: int, change: Callable[[Measurement, Table], None]
) -> bytes:
    """A packed batch: `ticks` samples of each measurement, a second apart."""
    tables = host_tables(tuple(measurements), host=seed, first_us=first_us, ticks=ticks)
    for measurement, made in zip(measurements, tables, strict=True):
        change(measurement, made)
    return pack(measurements, tables)


def as_it_is(_measurement: Measurement, _table: Table) -> None:
    """No change."""


def open_channel(address: str, ca_file: Path, number: int) -> grpc.aio.Channel:
    """A connection of its own: the number keeps gRPC from sharing one."""
    options = (("grpc.use_local_subchannel_pool", 1), ("watchdesk.number", number))
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(ca_file.read_bytes()), options=options)


def quantile(sorted_values: Sequence[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def summed(findings: Sequence[Findings]) -> Findings:
    total = Findings()
    for each in findings:
        for name, value in _fields(each).items():
            setattr(total, name, getattr(total, name) + value)
    return total


def _fields(findings: Findings) -> Mapping[str, object]:
    return {name: getattr(findings, name) for name in Findings.__slots__}


class Generator:
    """A generator's process, as seen from outside: words come and go on a pipe, and in the end it tells what it saw."""

    def __init__(self, run: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=run, args=(*arguments, theirs))
        self._process.start()

    def say(self, word: str) -> None:
        self._pipe.send(word)

    def expect(self, word: str) -> None:
        if self._pipe.recv() != word:
            raise SystemExit(f"a generator did not say {word!r}")

    def findings(self, kind: type[T]) -> T:
        """When it has ended."""
        findings = self._pipe.recv()
        self._process.join()
        assert isinstance(findings, kind)
        return findings


def connect_fleet(collector: LoadedCollector, plan: Plan, *, hosts: int) -> list[Generator]:
    """The generators of a fleet, all of whose hosts are welcome when this returns; they send once each generator was told anything."""
    target = (collector.address, collector.tls.authority, collector.token)
    names = [f"host-{index:05}" for index in range(hosts)]
    generators = [Generator(run_share_in_process, target, names[number::GENERATORS], plan) for number in range(GENERATORS)]
    for generator in generators:
        generator.expect("ready")
    return generators


def run_share_in_process(target: tuple[str, Path, str], names: Sequence[str], plan: Plan, pipe: Connection) -> None:
    """What a generator process runs: says "ready", waits for a word, answers with its `Findings`."""
    asyncio.run(_converse(target, names, plan, pipe))


async def _converse(target: tuple[str, Path, str], names: Sequence[str], plan: Plan, pipe: Connection) -> None:
    address, ca_file, token = target

    async def wait_for_word() -> None:
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)

    pipe.send(await run_share(address=address, ca_file=ca_file, token=token, names=names, plan=plan, ready=wait_for_word))
