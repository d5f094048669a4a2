"""The uplink's life: connect, converse, and when that ends, tell why once and try again.

Before it: `flush`, which wakes it for each spooled batch. After it: the collector's ingest. Invariant: whatever happens to a stream, the spool still
holds what the collector does not, and the next attempt comes within a bounded time (`trouble.backoff_s`).
"""

import logging
import threading
from collections.abc import Callable, Iterable

import grpc
from watchdesk_proto.v1 import ingest_pb2 as pb
from watchdesk_proto.v1.ingest_pb2_grpc import IngestServiceStub

from watchdesk_agent.clock import Clock
from watchdesk_agent.spool import Spool, SpoolError
from watchdesk_agent.uplink.config import UplinkConfig
from watchdesk_agent.uplink.conversation import DEFAULT_LIMITS, NUMBERING_BYTES, Compare, Conversation, Introduction
from watchdesk_agent.uplink.credentials import CredentialError, open_channel, read_token
from watchdesk_agent.uplink.tally import Tally
from watchdesk_agent.uplink.trouble import Trouble, backoff_s, describe

log = logging.getLogger(__name__)

WELCOME_WITHIN_S = 30.0  # when a whole fleet returns at once, it takes the collector some seconds to greet everybody
DRAIN_POLL_S = 0.05


class Uplink:
    """See the module. `random` gives numbers from 0 to 1, for the jitter of backoff; `compare` is told the log positions of each Welcome."""

    def __init__(
        self,
        *,
        config: UplinkConfig,
        introduction: Introduction,
        spool: Spool,
        clock: Clock,
        tally: Tally,
        random: Callable[[], float],
        compare: Compare,
    ) -> None:
        self._config = config
        self._introduction = introduction
        self._spool = spool
        self._clock = clock
        self._tally = tally
        self._random = random
        self._compare = compare
        self._limits = DEFAULT_LIMITS
        self._stop = threading.Event()
        self._call: grpc.RpcContext | None = None
        self._conversation: Conversation | None = None
        self._attempts_in_vain = 0
        self._told = ""  # the trouble that the log knows of; empty when it says that the agent is connected
        self._is_connection_told = False

    def run(self) -> None:
        """Hold a stream open until stopped."""
        while not self._stop.is_set():
            trouble = self._attempt()
            if not self._stop.is_set():
                self._tell_trouble(trouble)
            self._stop.wait(backoff_s(self._attempts_in_vain, is_refused=trouble.is_refusal, random=self._random()))
            self._attempts_in_vain += 1

    def drain(self, *, within_s: float) -> None:
        """Let the collector ack what is spooled, while it is connected and for so long at most."""
        deadline_s = self._clock.monotonic_s() + within_s
        while self._tally.is_connected and self._spool.next_unsent(after=0) and self._clock.monotonic_s() < deadline_s:
            self._stop.wait(DRAIN_POLL_S)

    def stop(self) -> None:
        """End the stream; `run` returns."""
        self._stop.set()
        self._cancel()

    def wake(self) -> None:
        """Something was spooled."""
        if (conversation := self._conversation) is not None:
            conversation.wake()

    def max_batch_bytes(self) -> int:
        """How large a batch may be spooled, as of the newest Welcome."""
        return self._limits.max_batch_bytes - NUMBERING_BYTES

    def _attempt(self) -> Trouble:
        """One stream, from opening it to why it ended."""
        try:
            token, channel = read_token(self._config), open_channel(self._config)
        except CredentialError as error:
            return Trouble(str(error), is_refusal=True)
        conversation = Conversation(introduction=self._introduction, spool=self._spool, clock=self._clock, tally=self._tally, compare=self._compare)
        with channel:
            call = IngestServiceStub(channel).Stream(conversation.requests(), metadata=(("authorization", f"Bearer {token}"),))
            self._call, self._conversation = call, conversation
            if self._stop.is_set():
                call.cancel()  # stopped before there was a call to cancel
            try:
                self._listen(call, conversation)
            except grpc.RpcError:
                return describe(call.code(), call.details() or "", self._config)
            except SpoolError as error:
                return Trouble(str(error))
            finally:
                self._conversation = None
                self._tally.is_connected = False
                conversation.close()
        return describe(grpc.StatusCode.UNAVAILABLE, "it closed the stream", self._config)

    def _listen(self, call: Iterable[pb.StreamResponse], conversation: Conversation) -> None:
        """Take answers until the stream ends. **Errors**: grpc.RpcError."""
        impatience = threading.Timer(WELCOME_WITHIN_S, self._cancel)
        impatience.daemon = True
        impatience.start()
        try:
            for response in call:
                impatience.cancel()
                conversation.take(response)
                self._limits = conversation.limits
                self._tell_connected(conversation)
        finally:
            impatience.cancel()

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def _tell_connected(self, conversation: Conversation) -> None:
        """A collector that ended the last stream is believed when it takes something."""
        if conversation.made_progress:
            self._attempts_in_vain = 0
        if self._is_connection_told or (self._told and not conversation.made_progress):
            return
        log.info("connected to the collector at %s", self._config.address)
        self._told, self._is_connection_told = "", True

    def _tell_trouble(self, trouble: Trouble) -> None:
        if trouble.sentence != self._told:
            log.warning("%s", trouble.sentence)
        self._told, self._is_connection_told = trouble.sentence, False
