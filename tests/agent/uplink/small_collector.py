"""A small collector for tests of the uplink: a real gRPC server with real TLS that keeps the contract of ingest.proto, and misbehaves on request."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import grpc
import trustme
from agent.unpacking import tables_of
from watchdesk_proto.v1 import ingest_pb2 as pb
from watchdesk_proto.v1.ingest_pb2_grpc import IngestServiceServicer, add_IngestServiceServicer_to_server

DEADLINE_S = 20.0
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 1000), ("grpc.http2.max_ping_strikes", 0)]
Key = tuple[int, int]  # epoch, seq


@dataclass
class Behaviour:
    """What a test may change while the collector runs."""

    token: str = "secret"
    refusal: tuple[grpc.StatusCode, str] | None = None
    limits: pb.Limits = field(default_factory=lambda: pb.Limits(max_batch_bytes=100_000, max_in_flight=4, max_future_seconds=300))
    holds_acks: bool = False
    rejects: Callable[[pb.Batch], str | None] = lambda batch: None
    clock_us: Callable[[], int] = lambda: 1_767_225_600_000_000


class SmallCollector(IngestServiceServicer):
    """Everything it heard stands in `heard`, in order; what it has committed in `stored`. Survives `stop` and `start`, as on a disk."""

    def __init__(self, authority: trustme.CA) -> None:
        self.behaviour = Behaviour()
        self.heard: list[pb.StreamRequest] = []
        self.stored: dict[Key, pb.Batch] = {}
        self.dropped: dict[Key, str] = {}
        self.rejected: set[Key] = set()
        self.checkpointed: set[Key] = set()
        self.connections = 0
        self.log_positions: pb.LogPositions | None = None
        self.port = 0
        self._certificate = authority.issue_cert("localhost", "127.0.0.1")
        self._news = threading.Condition()
        self._unanswered: list[pb.StreamResponse] = []
        self._answers: SimpleQueue[pb.StreamResponse | None] = SimpleQueue()
        self._server: grpc.Server | None = None

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(8), options=OPTIONS)
        add_IngestServiceServicer_to_server(self, self._server)
        chain = b"".join(blob.bytes() for blob in self._certificate.cert_chain_pems)
        credentials = grpc.ssl_server_credentials([(self._certificate.private_key_pem.bytes(), chain)])
        self.port = self._server.add_secure_port(f"localhost:{self.port}", credentials)
        self._server.start()

    def stop(self) -> None:
        self._answers.put(None)
        if self._server is not None:
            self._server.stop(grace=None).wait(DEADLINE_S)

    def lose_write_ahead_log(self) -> None:
        """Forget what is not checkpointed, as after a crash that spoilt it."""
        with self._news:
            self.stored = {key: batch for key, batch in self.stored.items() if key in self.checkpointed}
            self.rejected &= self.checkpointed

    def checkpoint(self) -> None:
        with self._news:
            self.checkpointed |= self._durable()
            self._answers.put(pb.StreamResponse(checkpointed=pb.Checkpointed(checkpointed=_to_ranges(self.checkpointed))))

    def release_acks(self) -> None:
        with self._news:
            self.behaviour.holds_acks = False
            for answer in self._unanswered:
                self._answers.put(answer)
            self._unanswered.clear()

    def wait_for(self, done: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(done, DEADLINE_S), f"heard {[request.WhichOneof('message') for request in self.heard]}"

    def batches(self) -> list[pb.Batch]:
        """Every batch that was heard, those that came twice included."""
        return [request.batch for request in list(self.heard) if request.HasField("batch")]

    def hellos(self) -> list[pb.Hello]:
        return [request.hello for request in list(self.heard) if request.HasField("hello")]

    def Stream(self, request_iterator: Iterator[pb.StreamRequest], context: grpc.ServicerContext) -> Iterator[pb.StreamResponse]:
        self._check(context)
        self._answers.put(None)  # an earlier stream ends
        answers: SimpleQueue[pb.StreamResponse | None] = SimpleQueue()
        self._answers = answers
        threading.Thread(target=self._read, args=(request_iterator, answers), daemon=True).start()
        while (answer := answers.get()) is not None:
            yield answer

    def _check(self, context: grpc.ServicerContext) -> None:
        metadata: Mapping[str, str | bytes] = dict(context.invocation_metadata())
        with self._news:
            self.connections += 1
            self._news.notify_all()
        if metadata.get("authorization") != f"Bearer {self.behaviour.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is not this collector's")
        if self.behaviour.refusal is not None:
            context.abort(*self.behaviour.refusal)

    def _read(self, requests: Iterator[pb.StreamRequest], answers: SimpleQueue[pb.StreamResponse | None]) -> None:
        try:
            for request in requests:
                with self._news:
                    self.heard.append(request)
                    answer = self._answer(request)
                    if answer is not None:
                        (self._unanswered.append if self.behaviour.holds_acks and request.HasField("batch") else answers.put)(answer)
                    self._news.notify_all()
        except grpc.RpcError:
            pass  # the agent is gone
        finally:
            answers.put(None)

    def _answer(self, request: pb.StreamRequest) -> pb.StreamResponse | None:
        match request.WhichOneof("message"):
            case "hello":
                durable = _to_ranges({key for key in self._durable() if key[0] in request.hello.spooled_epochs})
                welcome = pb.Welcome(
                    clock_us=self.behaviour.clock_us(), durable=durable, limits=self.behaviour.limits, log_positions=self.log_positions
                )
                return pb.StreamResponse(welcome=welcome)
            case "batch":
                return self._store(request.batch)
            case "dropped":
                keys = {(request.dropped.epoch, seq) for seq in range(request.dropped.seqs.first, request.dropped.seqs.last + 1)}
                self.dropped |= dict.fromkeys(keys, request.dropped.reason)
                return pb.StreamResponse(ack=pb.Ack(acked=_to_ranges(keys)))
            case "clock_query":
                reply = pb.ClockReply(agent_us=request.clock_query.agent_us, collector_us=self.behaviour.clock_us())
                return pb.StreamResponse(clock_reply=reply)
        return None

    def _store(self, batch: pb.Batch) -> pb.StreamResponse:
        key = (batch.epoch, batch.seq)
        if reason := self.behaviour.rejects(batch):
            self.rejected.add(key)
            return pb.StreamResponse(reject=pb.Reject(epoch=batch.epoch, seq=batch.seq, reason=reason))
        unpacked = pb.Batch(epoch=batch.epoch, seq=batch.seq, lane=batch.lane, log_positions=batch.log_positions, tables=tables_of(batch))
        assert key not in self.stored or list(self.stored[key].tables) == list(unpacked.tables), "one number, two contents"
        self.stored[key] = unpacked
        return pb.StreamResponse(ack=pb.Ack(acked=_to_ranges({key})))

    def _durable(self) -> set[Key]:
        return {*self.stored, *self.rejected, *self.dropped}


def _to_ranges(keys: set[Key]) -> list[pb.EpochRanges]:
    ranges: dict[int, list[pb.SeqRange]] = {}
    for epoch, seq in sorted(keys):
        spans = ranges.setdefault(epoch, [])
        if spans and spans[-1].last == seq - 1:
            spans[-1].last = seq
        else:
            spans.append(pb.SeqRange(first=seq, last=seq))
    return [pb.EpochRanges(epoch=epoch, ranges=spans) for epoch, spans in ranges.items()]
