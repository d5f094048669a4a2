"""The conversation with one agent: token, Hello, Welcome, then batches in and answers out.

Before it: the agent's uplink. After it: `committer`. Invariant: nothing that an agent sends ends more than its own stream, and nothing but a
refusal of the agent itself (token, name, clone) ends even that; a bad batch is rejected with a reason, counted, and the stream goes on.
"""

import asyncio
import hmac
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable
from typing import NoReturn, TypeAlias

import grpc
import grpc.aio
from watchdesk_proto.v1 import ingest_pb2 as pb

from watchdesk_collector.clock import Clock, to_us
from watchdesk_collector.history import History, Positions, RangeSet
from watchdesk_collector.ingest.committer import Committer, Entry, OnWriter
from watchdesk_collector.ingest.config import IngestConfig
from watchdesk_collector.ingest.decode import BatchLimits, Garbage, decode_batch, decode_declaration
from watchdesk_collector.ingest.hello import MAX_NUMBER, backlogs_of, samplers_of
from watchdesk_collector.ingest.layouts import Layouts, Shape
from watchdesk_collector.ingest.refusals import RefusalLog
from watchdesk_collector.ingest.refused import DecodeError, reject
from watchdesk_collector.ingest.roster import ClonedIdentity, Roster
from watchdesk_collector.ingest.session import Session
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Hole, Host, Outcome
from watchdesk_collector.ops.attendance import AttendanceBook
from watchdesk_collector.ops.hosts import HostDirectory, Introduction, NameTaken

HELLO_TIMEOUT_S = 10
BACKFILL_PART = 8  # of the queues: one round of everybody's backfill, behind which what is live waits on its way
LEAST_BACKFILL_BYTES = 4 * 1024  # some ten seconds of one host
HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")

Request: TypeAlias = "pb.StreamRequest | Garbage"
Context: TypeAlias = "grpc.aio.ServicerContext[Request, pb.StreamResponse]"
log = logging.getLogger(__name__)


class IngestService:
    """The servicer behind `IngestService.Stream`; one for all streams."""

    def __init__(
        self,
        *,
        config: IngestConfig,
        token: str,
        history: History,
        on_writer: OnWriter,
        committer: Committer,
        roster: Roster,
        hosts: HostDirectory,
        attendance: AttendanceBook,
        clock: Clock,
        metrics: Metrics,
        refusals: RefusalLog,
    ) -> None:
        self._config = config
        self._batch_limits = BatchLimits(max_bytes=config.max_batch_bytes, max_future_us=round(config.max_future * 1e6))
        self._token = token
        self._history = history
        self._on_writer = on_writer
        self._committer = committer
        self._roster = roster
        self._hosts = hosts
        self._attendance = attendance
        self._clock = clock
        self._metrics = metrics
        self._refusals = refusals
        self._greetings = 0
        self._layouts = Layouts()
        self._known_schemas = {measurement.schema_id for measurement in history.catalogue()}

    async def stream(self, requests: AsyncIterator[Request], context: Context) -> None:
        """One stream, from the first message to the last."""
        await self._authenticate(context)
        await self._line_up(context)
        session = await self._in_line(self._greet(requests, context))
        self._enter(session, context.peer())
        try:
            await self._in_line(self._welcome(session))
            await self._converse(requests, session, context)
        finally:
            self._leave(session)
        if session.ending is not None:
            await context.abort(session.ending.code, session.ending.because)

    async def _converse(self, requests: AsyncIterator[Request], session: Session, context: Context) -> None:
        """Everything after the Welcome."""
        reader = asyncio.ensure_future(self._read(requests, session))
        try:
            while (answer := await session.answers.get()) is not None:
                await context.write(answer)
        finally:
            reader.cancel()
            (failure,) = await asyncio.gather(reader, return_exceptions=True)
            if isinstance(failure, Exception):
                raise failure

    async def _authenticate(self, context: Context) -> None:
        presented = dict(context.invocation_metadata() or ()).get("authorization", "")
        if not hmac.compare_digest(str(presented).encode(), f"Bearer {self._token}".encode()):
            sentence = "the token is not this collector's; put the contents of its agent.token into the agent's collector.token_file"
            await self._refuse(context, "token", grpc.StatusCode.UNAUTHENTICATED, sentence)

    async def _line_up(self, context: Context) -> None:
        """After an outage all agents return at once: so many wait their turn, the others are not let to wait until they lose patience."""
        if self._greetings >= self._config.max_greetings:
            sentence = "very many agents return at once, this one is asked to come again in some seconds"
            await self._refuse(context, "busy", grpc.StatusCode.UNAVAILABLE, sentence)

    async def _in_line(self, greeting: Awaitable[Session]) -> Session:
        self._greetings += 1
        self._metrics.greetings.set(self._greetings)
        try:
            return await greeting
        finally:
            self._greetings -= 1
            self._metrics.greetings.set(self._greetings)

    async def _greet(self, requests: AsyncIterator[Request], context: Context) -> Session:
        """Hello → a session."""
        hello = await self._hello(requests, context)
        host = await self._introduce(hello, context)
        self._attendance.introduce(host.host_id, samplers_of(hello, to_us(self._clock.now())), backlogs_of(hello, host.host_id))
        return Session(host=host, epoch=hello.epoch, epochs=hello.spooled_epochs)

    async def _welcome(self, session: Session) -> Session:
        """The session has taken over, so what the writer answers now is all that was stored of earlier ones, and stays so."""
        host_id = session.host.host_id
        durable, positions = await self._on_writer(_what_is_held, self._history, host_id)
        session.welcome(durable=durable, positions=positions, limits=self._limits(), clock_us=to_us(self._clock.now()))
        session.tell_checkpointed(self._history.checkpointed(host_id))
        return session

    def _limits(self) -> pb.Limits:
        """Each host's share of backfill is small enough that one round of everybody's is stored within a second or two."""
        share = self._config.max_queued_bytes // BACKFILL_PART // max(1, len(self._hosts))
        return pb.Limits(
            max_batch_bytes=self._config.max_batch_bytes,
            max_in_flight=self._config.max_in_flight,
            max_future_seconds=round(self._config.max_future),
            max_backfill_bytes=max(LEAST_BACKFILL_BYTES, share),
        )

    async def _hello(self, requests: AsyncIterator[Request], context: Context) -> pb.Hello:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                first = await anext(requests)
        except (TimeoutError, StopAsyncIteration):
            first = Garbage(0)
        hello = None if isinstance(first, Garbage) else first.hello
        if hello is None or not _is_uuid(hello.agent_id) or not 0 < hello.epoch < MAX_NUMBER:
            await self._refuse(context, "hello", grpc.StatusCode.INVALID_ARGUMENT, "a stream begins with a Hello that holds an agent id and an epoch")
        if not HOST_NAME.fullmatch(hello.host):
            sentence = f"{hello.host!r} is no host name: letters, digits, '.', '-' and '_', at most 253; set `host` in agent.toml"
            await self._refuse(context, "name", grpc.StatusCode.INVALID_ARGUMENT, sentence)
        return hello

    async def _introduce(self, hello: pb.Hello, context: Context) -> Host:
        now = self._clock.now()
        who = Introduction(
            agent_id=hello.agent_id,
            name=hello.host,
            boot_id=hello.boot_id,
            agent_version=hello.agent_version,
            clock_offset_s=(hello.clock_us - to_us(now)) / 1e6,
        )
        try:
            self._roster.check(hello.agent_id, hello.epoch)
            host = await asyncio.to_thread(self._hosts.introduce, who)
        except NameTaken as error:
            await self._refuse(context, "name", grpc.StatusCode.ALREADY_EXISTS, str(error))
        except ClonedIdentity as error:
            await self._refuse(context, "clone", grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return host

    async def _refuse(self, context: Context, kind: str, code: grpc.StatusCode, sentence: str) -> NoReturn:
        self._metrics.refusals.labels(kind).inc()
        self._refusals.tell(kind, context.peer(), sentence)
        await context.abort(code, sentence)

    async def _read(self, requests: AsyncIterator[Request], session: Session) -> None:
        try:
            async for request in requests:
                await self._take(request, session)
        finally:
            session.answers.put_nowait(None)

    async def _take(self, request: Request, session: Session) -> None:
        if isinstance(request, Garbage):
            return self._count_garbage(session, f"a message of {request.size} bytes is not of this protocol")
        match request.WhichOneof("message"):
            case "batch":
                await self._take_batch(request.batch, session)
            case "declaration":
                await self._take_declaration(request.declaration, session)
            case "dropped":
                await self._take_dropped(request.dropped, session)
            case "clock_query":
                self._answer_clock_query(request.clock_query.agent_us, session)
            case other:
                self._count_garbage(session, f"a message of kind {other!r} has no place here")
        return None

    def _answer_clock_query(self, agent_us: int, session: Session) -> None:
        collector_us = to_us(self._clock.now())
        session.answers.put_nowait(pb.StreamResponse(clock_reply=pb.ClockReply(agent_us=agent_us, collector_us=collector_us)))
        self._hosts.note_clock(session.host.host_id, session.clock_offset_s(agent_us, collector_us))

    async def _take_batch(self, batch: pb.Batch, session: Session) -> None:
        if not 0 < batch.seq < MAX_NUMBER or batch.epoch not in session.epochs:
            return self._count_garbage(session, f"a batch is numbered {batch.epoch:x}/{batch.seq}, which its Hello didn't announce")
        now_us = to_us(self._clock.now())
        try:
            entry: Entry = decode_batch(batch, session, received_at_us=now_us, layouts=self._layouts, limits=self._batch_limits)
        except DecodeError as error:
            entry = reject(error, host=session.host, epoch=batch.epoch, seq=batch.seq, received_at_us=now_us, metrics=self._metrics)
        return await self._committer.submit(entry, session)

    async def _take_declaration(self, declaration: pb.Declaration, session: Session) -> None:
        try:
            measurement = decode_declaration(declaration)
        except DecodeError as error:
            session.schemas[declaration.schema_id] = str(error)
            return self._count_garbage(session, str(error))
        refusal = None
        if measurement.schema_id not in self._known_schemas:
            refusal = await self._on_writer(self._history.declare, measurement)
        if refusal is None:
            self._known_schemas.add(measurement.schema_id)
            session.schemas[measurement.schema_id] = Shape.of(measurement)
            self._attendance.prove(session.host.host_id, measurement.name)
        else:
            session.schemas[measurement.schema_id] = refusal
            self._metrics.refusals.labels("schema").inc()
            log.warning("measurement %s of host %s is refused: %s", measurement.name, session.host.name, refusal)
        return None

    async def _take_dropped(self, dropped: pb.Dropped, session: Session) -> None:
        first, last = dropped.seqs.first, dropped.seqs.last
        if not 0 < first <= last < MAX_NUMBER or dropped.epoch not in session.epochs:
            return self._count_garbage(session, "a Dropped names no seqs of this agent")
        hole = Hole(
            host_id=session.host.host_id,
            epoch=dropped.epoch,
            first=first,
            last=last,
            outcome=Outcome.DROPPED,
            reason=dropped.reason[:200],
            received_at_us=to_us(self._clock.now()),
        )
        return await self._committer.submit(hole, session)

    def _count_garbage(self, session: Session, what: str) -> None:
        self._metrics.rejects.labels("garbage").inc()
        log.warning("host %s sent garbage, which is ignored: %s", session.host.name, what)

    def _enter(self, session: Session, peer: str) -> None:
        """Nothing is awaited between this and the `finally` that leaves: an agent that goes away meanwhile leaves no trace."""
        host = session.host
        self._roster.enter(session)
        self._hosts.connected(host.host_id)
        self._metrics.streams.set(len(self._roster))
        log.info("host %s connected, agent %s from %s", host.name, host.agent_version, peer)

    def _leave(self, session: Session) -> None:
        if self._roster.leave(session):
            self._hosts.disconnected(session.host.host_id)
        self._metrics.streams.set(len(self._roster))
        log.info("host %s disconnected%s", session.host.name, f": {session.ending.because}" if session.ending else "")


def _what_is_held(history: History, host_id: int) -> tuple[dict[int, RangeSet], Positions | None]:
    """On the writer thread, where nobody changes it meanwhile."""
    return {epoch: ranges.copy() for epoch, ranges in history.durable(host_id).items()}, history.log_positions(host_id)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
