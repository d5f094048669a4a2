"""Load for a real collector: the collector, as a process with its defaults, and agents that send it batches which were encoded beforehand.

Used by `bench_ingest.py` and by the end-to-end scenario of hostile queries. Nothing here is part of the product.
"""

import queue
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import grpc
import numpy as np
from protobuf_parts import length_delimited
from walks import host_tables, slots
from watchdesk_agent.model import Samples
from watchdesk_agent.wire import encode_batches, encode_declaration
from watchdesk_collector.cli.demo.api import CollectorApi
from watchdesk_collector.cli.demo.certificates import make_tls_files
from watchdesk_collector.cli.demo.programs import Program, command_path
from watchdesk_collector.cli.demo.waiting import Waiter
from watchdesk_collector.model import Table
from watchdesk_proto.catalogue import Measurement, Type, builtin, gauge, label
from watchdesk_proto.v1 import ingest_pb2 as pb

METHOD = "/watchdesk.v1.IngestService/Stream"
MAX_BATCH_BYTES = 4 << 20  # more than any batch here takes


class LoadedCollector:
    """A collector of its own for a measurement, on free ports, with TLS, its defaults, and `toml`; all it writes is in `directory`."""

    def __init__(self, directory: Path, *, toml: str = "") -> None:
        grpc_port, web_port = free_port(), free_port()
        self.tls = make_tls_files(directory / "tls")
        self.address = f"127.0.0.1:{grpc_port}"
        self.state = directory / "collector"
        self.url = f"http://127.0.0.1:{web_port}"
        self.api = CollectorApi(url=self.url, token_file=self.state / "api.token")
        config = directory / "collector.toml"
        config.write_text(
            f'state_dir = "{self.state}"\n'
            f'[ingest]\nlisten = "{self.address}"\ntls_cert = "{self.tls.certificate}"\ntls_key = "{self.tls.key}"\n'
            f'[web]\nlisten = "127.0.0.1:{web_port}"\n{toml}'
        )
        command: list[str | Path] = [command_path("watchdesk-collector"), "run", "--config", config]
        self.program = Program(name="watchdesk-collector", command=command, log=directory / "collector.log")

    @property
    def token(self) -> str:
        return (self.state / "agent.token").read_text().strip()

    def start(self) -> None:
        """It takes batches and answers when this returns."""
        self.program.start()
        Waiter(programs=(self.program,)).until("The collector", self.api.is_healthy, timeout_s=60)

    def stored_batches(self) -> tuple[int, int]:
        """How many it has stored, and how many different ones these are; by SQL."""
        [[stored, different]] = self.api.sql("SELECT count(*), count(DISTINCT (host, epoch, seq)) FROM batch WHERE outcome = 'stored'")
        return stored, different


class LoadAgent:
    """One agent's stream. `send` blocks while the window is full.

    For each answered batch, `answered_at_s` has when (monotonic) and `latencies_s` how long after `send`.
    """

    def __init__(self, *, address: str, ca_file: Path, token: str, host: str, window: int = 16) -> None:
        self.answered_at_s: list[float] = []
        self.latencies_s: list[float] = []
        self.rejected: list[str] = []
        self.epoch = random.getrandbits(62) + 1
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._sent_at_s: dict[int, float] = {}
        self._window = threading.Semaphore(window)
        self._size = window
        self._welcome = threading.Event()
        self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca_file.read_bytes()))
        call: grpc.StreamStreamMultiCallable[bytes, pb.StreamResponse] = self._channel.stream_stream(
            METHOD, request_serializer=None, response_deserializer=pb.StreamResponse.FromString
        )
        self._requests.put(hello_request(agent_id=str(uuid.uuid4()), epoch=self.epoch, host=host))
        self._answers = call(iter(self._requests.get, None), metadata=(("authorization", f"Bearer {token}"),))
        self._thread = threading.Thread(target=self._read, name=f"load {host}")
        self._thread.start()
        if not self._welcome.wait(30):
            raise TimeoutError(f"no Welcome for {host} within 30 s")

    def declare(self, measurements: Sequence[Measurement]) -> None:
        for measurement in measurements:
            self._requests.put(declaration_request(measurement))

    def send(self, seq: int, request: bytes) -> None:
        self._window.acquire()
        self._sent_at_s[seq] = time.monotonic()
        self._requests.put(request)

    def wait_until_answered(self) -> None:
        """Until everything sent is acked or rejected."""
        for _ in range(self._size):
            self._window.acquire()
        self._window.release(self._size)

    def finish(self) -> None:
        """Wait until everything sent is answered, and end the stream."""
        self.wait_until_answered()
        self._requests.put(None)
        self._thread.join()
        self._channel.close()

    def _read(self) -> None:
        for answer in self._answers:
            match answer.WhichOneof("message"):
                case "welcome":
                    self._welcome.set()
                case "ack":
                    for seq in seqs_of(answer.ack.acked):
                        self._settle(seq)
                case "reject":
                    self.rejected.append(answer.reject.reason)
                    self._settle(answer.reject.seq)

    def _settle(self, seq: int) -> None:
        now_s = time.monotonic()
        self.latencies_s.append(now_s - self._sent_at_s.pop(seq))
        self.answered_at_s.append(now_s)
        self._window.release()


def wide_measurement(fields: int) -> Measurement:
    """One table of many doubles: the shape that ingest prototypes are compared in."""
    columns = tuple(gauge(f"value{number}", "A number.") for number in range(fields))
    return Measurement(name="load_wide", help="Load.", columns=(label("part", "Which."), *columns))


def agent_measurements() -> tuple[Measurement, ...]:
    """The whole-host tables that an agent sends each second."""
    names = {"cpu", "load", "memory", "swap", "disk", "disk_io", "network"}
    return tuple(measurement for measurement in builtin() if measurement.name in names)


def values_per_tick(measurements: Sequence[Measurement]) -> int:
    return sum(len(measurement.columns) for measurement in measurements)


def encode(measurements: Sequence[Measurement], *, epoch: int, batches: int, ticks: int, first_us: int) -> Iterator[bytes]:
    """Serialized requests with seqs from 1: one row per measurement and tick, a tick a second, with numbers that look like measured ones."""
    tables = host_tables(tuple(measurements), host=epoch, first_us=first_us, ticks=batches * ticks)
    for seq in range(1, batches + 1):
        yield batch_request(epoch, seq, pack(measurements, [slots(table, (seq - 1) * ticks, seq * ticks) for table in tables]))


def pack(measurements: Sequence[Measurement], tables: Sequence[Table]) -> bytes:
    """A batch as its agent spools it: without number and lane."""
    [encoded] = encode_batches([_samples(table, one) for table, one in zip(tables, measurements, strict=True)], max_bytes=MAX_BATCH_BYTES)
    return encoded.payload


def _samples(table: Table, measurement: Measurement) -> Samples:
    columns: list[Sequence[object]] = []
    for column, row in zip(measurement.columns, table.words[1:], strict=True):
        if column.type is Type.TEXT:
            columns.append([table.texts[code] for code in row.tolist()])
        else:
            columns.append((row.view(np.float64) if column.type is Type.FLOAT64 else row).tolist())
    return Samples(measurement, list(zip(table.words[0].tolist(), zip(*columns, strict=True), strict=True)))


def hello_request(*, agent_id: str, epoch: int, host: str, agent_version: str = "load", boot_id: str = "") -> bytes:
    """A serialized StreamRequest: the Hello of an agent that has no other epoch in its spool."""
    hello = pb.Hello(
        agent_id=agent_id, epoch=epoch, host=host, boot_id=boot_id, agent_version=agent_version, clock_us=now_us(), spooled_epochs=[epoch]
    )
    return pb.StreamRequest(hello=hello).SerializeToString()


def declaration_request(measurement: Measurement) -> bytes:
    """A serialized StreamRequest."""
    return pb.StreamRequest(declaration=pb.Declaration.FromString(encode_declaration(measurement))).SerializeToString()


def batch_request(epoch: int, seq: int, packed: bytes, lane: "pb.Lane.ValueType" = pb.LANE_LIVE) -> bytes:
    """A serialized StreamRequest with one packed batch: only epoch, seq and lane are made anew, and what is packed need not be parsed."""
    return length_delimited(pb.StreamRequest.BATCH_FIELD_NUMBER, pb.Batch(epoch=epoch, seq=seq, lane=lane).SerializeToString() + packed)


def seqs_of(ranges: Iterable[pb.EpochRanges]) -> list[int]:
    """All of them, of an agent that has one epoch."""
    return [seq for entry in ranges for span in entry.ranges for seq in range(span.first, span.last + 1)]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def now_us() -> int:
    return time.time_ns() // 1000
