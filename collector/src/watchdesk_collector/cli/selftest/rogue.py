"""An agent in miniature that says what no real one would: the same batch again and again, in any order, with gaps that it fills later.

It is its own host, knows exactly what it sent, and keeps the same ledger as `watchdesk_agent.selftest` does, so that the oracle takes it for one more
agent. Invariant: what it made it also delivers in the end, by `settle`; until then it may say anything.
"""

import array
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import grpc
from watchdesk_proto.catalogue import Measurement, gauge
from watchdesk_proto.v1 import ingest_pb2 as pb

METHOD = "/watchdesk.v1.IngestService/Stream"
MEASUREMENT = "selftest"
PAST = Measurement(
    name="selftest_past", help="Rows too old to be kept.", columns=(gauge("value0", "A number."),)
)  # in no ledger: history may drop it
PAST_US = 100 * 86_400_000_000
WELCOME_WITHIN_S = 5.0
TRY_AGAIN_AFTER_S = 0.2
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)  # each stream has its own connection, and does not wait out an earlier one's backoff


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch that was made; sending it again sends the same bytes."""

    seq: int
    schema: Measurement
    request: bytes


class Rogue:
    """One host. `send` and `hang_up` do just that; acks and rejections are taken by a thread of each stream's own."""

    def __init__(self, *, address: str, ca_file: Path, token_file: Path, host: str, ledger: Path, random: Random) -> None:
        self.host = host
        self.ledger = ledger
        self._address = address
        self._ca_file = ca_file
        self._token_file = token_file
        self._random = random
        self._agent_id = str(uuid.uuid4())
        self._epoch = random.getrandbits(62) + 1
        self._columns = 1
        self._last_seq = 0
        self._last_us = 0
        self._unanswered: dict[int, Parcel] = {}
        self._acked: set[int] = set()
        self._news = threading.Condition()
        self._stream: _Stream | None = None

    @property
    def unanswered(self) -> int:
        """How many of its batches were neither acked nor rejected."""
        return len(self._unanswered)

    def make(self, batches: int) -> list[Parcel]:
        """New batches, numbered on, to be sent whenever you like."""
        return [self._make(self._schema(), self._times()) for _ in range(batches)]

    def make_past(self) -> Parcel:
        """A batch whose rows are so old that the next retention takes them."""
        return self._make(PAST, [time.time_ns() // 1000 - PAST_US])

    def widen(self) -> None:
        """Measure one thing more from now on: the next batch comes with a declaration that the collector does not know."""
        self._columns += 1

    def send(self, parcels: Sequence[Parcel]) -> None:
        """Say these on the open stream, or on a new one; whether they arrive is another question, and each is to be answered anew."""
        with self._news:
            self._unanswered |= {parcel.seq: parcel for parcel in parcels}
        if (stream := self._open()) is not None:
            stream.send(parcels)

    def hang_up(self) -> None:
        """End the stream with whatever is under way."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def wait_answered(self, *, within_s: float) -> bool:
        """Until everything sent so far is acked or rejected; False when it is not, or the stream ended."""
        with self._news:
            self._news.wait_for(lambda: not self._unanswered or self._stream is None or self._stream.has_ended, within_s)
            return not self._unanswered

    def settle(self, *, within_s: float) -> bool:
        """Send what is unanswered on ever new streams until all is acked or rejected; False when that takes too long."""
        deadline_s = time.monotonic() + within_s
        while self._unanswered and time.monotonic() < deadline_s:
            self.hang_up()
            self.send(list(self._unanswered.values()))
            if not self.wait_answered(within_s=deadline_s - time.monotonic()):
                time.sleep(TRY_AGAIN_AFTER_S)
        self.hang_up()
        return not self._unanswered

    def _schema(self) -> Measurement:
        columns = tuple(gauge(f"value{number}", "A number.") for number in range(self._columns))
        return Measurement(name=MEASUREMENT, help="What the self-test's rogue agent sends.", columns=columns)

    def _times(self) -> list[int]:
        """Some moments of now, never the same twice."""
        first_us = max(time.time_ns() // 1000, self._last_us + 1)
        self._last_us = first_us + self._random.randint(0, 9)
        return list(range(first_us, self._last_us + 1))

    def _make(self, schema: Measurement, times: Sequence[int]) -> Parcel:
        self._last_seq += 1
        values = array.array("d", [self._random.random() for _ in range(len(times) * len(schema.columns))])
        table = pb.Table(schema_id=schema.schema_id, rows=len(times), words=array.array("q", times).tobytes() + values.tobytes())
        batch = pb.Batch(epoch=self._epoch, seq=self._last_seq, lane=pb.LANE_LIVE, tables=[table])
        parcel = Parcel(self._last_seq, schema, pb.StreamRequest(batch=batch).SerializeToString())
        self._write("spooling", parcel.seq, json.dumps({schema.name: times}))
        self._write("spooled", parcel.seq)
        with self._news:
            self._unanswered[parcel.seq] = parcel
        return parcel

    def _open(self) -> "_Stream | None":
        """The stream; None when there is no way to the collector."""
        if self._stream is None or self._stream.has_ended:
            self.hang_up()
            token = self._token_file.read_text(encoding="ascii").strip()
            stream = _Stream(self._hello(), address=self._address, authority=self._ca_file.read_bytes(), token=token, take=self._take)
            if not stream.is_welcome.wait(WELCOME_WITHIN_S):
                stream.close()
                return None
            self._stream = stream
        return self._stream

    def _hello(self) -> pb.Hello:
        return pb.Hello(
            agent_id=self._agent_id,
            epoch=self._epoch,
            host=self.host,
            agent_version="rogue",
            clock_us=time.time_ns() // 1000,
            spooled_epochs=[self._epoch],
        )

    def _take(self, answer: "pb.StreamResponse | None") -> None:
        """What the collector says, None when a stream has ended; on the stream's thread."""
        if answer is None:
            return self._note_answered([])
        match answer.WhichOneof("message"):
            case "welcome":
                known = {seq for ranges in answer.welcome.durable for span in ranges.ranges for seq in range(span.first, span.last + 1)}
                for seq in sorted(self._acked - known):
                    self._write("forgotten", seq, seq)
                self._take_acked(answer.welcome.durable)
            case "ack":
                self._take_acked(answer.ack.acked)
            case "reject":
                seq = answer.reject.seq
                self._write("rejected", seq, seq, answer.reject.reason)
                self._note_answered([seq])
        return None

    def _take_acked(self, acked: Iterable[pb.EpochRanges]) -> None:
        for ranges in acked:
            for span in ranges.ranges:
                self._write("acked", span.first, span.last)
                self._acked.update(range(span.first, span.last + 1))
                self._note_answered(range(span.first, span.last + 1))

    def _note_answered(self, seqs: Iterable[int]) -> None:
        with self._news:
            for seq in seqs:
                self._unanswered.pop(seq, None)
            self._news.notify_all()

    def _write(self, fact: str, *words: object) -> None:
        with self.ledger.open("a", encoding="utf-8") as ledger:
            ledger.write(" ".join(map(str, (fact, self._epoch, *words))).replace("\n", " ") + "\n")


class _Stream:
    """One stream, from Hello to its end."""

    def __init__(self, hello: pb.Hello, *, address: str, authority: bytes, token: str, take: "Callable[[pb.StreamResponse | None], None]") -> None:
        self.is_welcome = threading.Event()
        self.has_ended = False
        self._take = take
        self._declared: set[int] = set()
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._requests.put(pb.StreamRequest(hello=hello).SerializeToString())
        self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(authority), options=OPTIONS)
        call: grpc.StreamStreamMultiCallable[bytes, pb.StreamResponse] = self._channel.stream_stream(
            METHOD, request_serializer=None, response_deserializer=pb.StreamResponse.FromString
        )
        self._call = call(iter(self._requests.get, None), metadata=(("authorization", f"Bearer {token}"),))
        self._thread = threading.Thread(target=self._read, name="rogue", daemon=True)
        self._thread.start()

    def send(self, parcels: Iterable[Parcel]) -> None:
        for parcel in parcels:
            if parcel.schema.schema_id not in self._declared:
                self._declared.add(parcel.schema.schema_id)
                self._requests.put(pb.StreamRequest(declaration=_declaration(parcel.schema)).SerializeToString())
            self._requests.put(parcel.request)

    def close(self) -> None:
        self._call.cancel()
        self._requests.put(None)
        self._thread.join()
        self._channel.close()

    def _read(self) -> None:
        try:
            for answer in self._call:
                self._take(answer)
                self.is_welcome.set()
        except grpc.RpcError:
            pass  # it ended, whatever the reason: the next stream tells the same again
        self.has_ended = True
        self._take(None)


def _declaration(measurement: Measurement) -> pb.Declaration:
    columns = [
        pb.Column(name=column.name, kind=pb.COLUMN_KIND_GAUGE, type=pb.COLUMN_TYPE_FLOAT64, unit=column.unit, help=column.help)
        for column in measurement.columns
    ]
    return pb.Declaration(schema_id=measurement.schema_id, measurement=measurement.name, help=measurement.help, columns=columns)
