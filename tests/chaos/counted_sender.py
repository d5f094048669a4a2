"""An agent without an agent: sends numbered rows as fast as the collector acks them, and keeps an exact ledger of both.

It remembers all it sent, for the whole run. At each Welcome it compares: a batch that was acked and that the collector does not hold any more was
forgotten, even though sending it again mends that. A few that the collector does hold are sent again as well: they must not be stored twice.
"""

import queue
import threading
import uuid
from pathlib import Path

import grpc
import numpy as np
from load import METHOD, declaration_request, hello_request, now_us, seqs_of
from watchdesk_proto.catalogue import Measurement, Type, gauge, label
from watchdesk_proto.v1 import ingest_pb2 as pb

WINDOW = 8
ROWS = 25
SENT_AGAIN = 3
RETRY_S = 0.3
MEASUREMENTS = tuple(
    Measurement(name=name, help="Numbered rows.", columns=(label("part", "Which."), gauge("number", "Unique per host.", type=Type.INT64)))
    for name in ("numbered", "numbered_too")
)


class CountedSender:
    """One host. All state changes on its thread; what others read is a count or a copy."""

    def __init__(self, *, address: str, ca_file: Path, token: str, host: str, epoch: int) -> None:
        self.host = host
        self.epoch = epoch
        self.forgotten: set[int] = set()
        self.rejected: list[str] = []
        self._agent_id = str(uuid.uuid4())
        self._address = address
        self._credentials = grpc.ssl_channel_credentials(ca_file.read_bytes())
        self._token = token
        self._sent: dict[int, bytes] = {}
        self._acked: set[int] = set()
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._is_finishing = threading.Event()
        self._is_done = threading.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=host)
        self._thread.start()

    @property
    def sent(self) -> int:
        return len(self._sent)

    @property
    def acked(self) -> int:
        return len(self._acked)

    def finish(self, *, timeout_s: float) -> bool:
        """Send nothing new; True when all that was sent is acked in time."""
        self._is_finishing.set()
        return self._is_done.wait(timeout_s)

    def close(self) -> None:
        self._is_closed.set()
        self._outgoing.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed.is_set():
            try:
                self._converse()
            except grpc.RpcError:
                self._is_closed.wait(RETRY_S)

    def _converse(self) -> None:
        options = (("grpc.min_reconnect_backoff_ms", 1000),)  # also how long an attempt may take, while the guest's network is not up
        with grpc.secure_channel(self._address, self._credentials, options=options) as channel:
            stream: grpc.StreamStreamMultiCallable[bytes, pb.StreamResponse] = channel.stream_stream(
                METHOD, request_serializer=None, response_deserializer=pb.StreamResponse.FromString
            )
            self._outgoing = queue.SimpleQueue()
            self._outgoing.put(self._hello())
            try:
                for answer in stream(iter(self._outgoing.get, None), metadata=(("authorization", f"Bearer {self._token}"),)):
                    self._take(answer)
            finally:
                self._outgoing.put(None)

    def _hello(self) -> bytes:
        return hello_request(agent_id=self._agent_id, epoch=self.epoch, host=self.host, agent_version="counted")

    def _take(self, answer: pb.StreamResponse) -> None:
        match answer.WhichOneof("message"):
            case "welcome":
                self._take_welcome(set(seqs_of(answer.welcome.durable)))
            case "ack":
                self._acked.update(seqs_of(answer.ack.acked))
            case "reject":
                self.rejected.append(answer.reject.reason)
                self._acked.add(answer.reject.seq)
        self._fill_window()

    def _take_welcome(self, durable: set[int]) -> None:
        self.forgotten |= self._acked - durable
        self._acked = durable & self._sent.keys()
        for measurement in MEASUREMENTS:
            self._outgoing.put(declaration_request(measurement))
        for seq in (*sorted(durable)[-SENT_AGAIN:], *sorted(self._sent.keys() - durable)):
            self._outgoing.put(self._sent[seq])

    def _fill_window(self) -> None:
        while not self._is_finishing.is_set() and len(self._sent) - len(self._acked) < WINDOW:
            seq = len(self._sent) + 1
            self._sent[seq] = _encode(self.epoch, seq)
            self._outgoing.put(self._sent[seq])
        if self._is_finishing.is_set() and len(self._acked) == len(self._sent):
            self._is_done.set()


def numbers_of(seq: int) -> range:
    """The numbers of the rows in one batch."""
    return range(seq * ROWS, (seq + 1) * ROWS)


def _encode(epoch: int, seq: int) -> bytes:
    ts = now_us() + np.arange(ROWS, dtype=np.int64)
    words = np.stack([ts, np.zeros(ROWS, np.int64), np.array(numbers_of(seq), np.int64)]).astype("<i8").tobytes()
    tables = [pb.Table(schema_id=measurement.schema_id, rows=ROWS, words=words, texts=["part"]) for measurement in MEASUREMENTS]
    return pb.StreamRequest(batch=pb.Batch(epoch=epoch, seq=seq, lane=pb.LANE_LIVE, tables=tables)).SerializeToString()
