"""Which agent has which open stream.

Invariant: at most one stream per agent; the newest wins, and a copy of a running agent is told apart from a restart.

A restarted agent comes with a new epoch and never returns to an older one. So an epoch that comes back while a newer one has the stream means that
two programs run under one identity: the older is refused, for as long as the newer is there, and both are told.
"""

from collections import deque
from collections.abc import Iterator
from weakref import WeakValueDictionary

import grpc

from watchdesk_collector.ingest.session import Ending, Session
from watchdesk_collector.model import host_id_of

REMEMBERED_EPOCHS = 64


class ClonedIdentity(Exception):
    """Two running agents use one identity; the message says which hosts and what to do."""


class Roster:
    """Open sessions by host; lives on the event loop alone."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}
        self._superseded: dict[int, deque[int]] = {}
        self._newest: WeakValueDictionary[int, Session] = WeakValueDictionary()  # also after it left, for as long as something of it is queued

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def check(self, agent_id: str, epoch: int) -> None:
        """**Errors**: ClonedIdentity when this epoch was already superseded by the one that is connected."""
        host_id = host_id_of(agent_id)
        current = self._sessions.get(host_id)
        if current is not None and epoch != current.epoch and epoch in self._superseded.get(host_id, ()):
            raise ClonedIdentity(
                f"agent id {agent_id} is used by two running agents, one of them on host {current.host.name!r}; "
                "stop the copy, remove its state directory and start it again: it then gets an identity of its own"
            )

    def enter(self, session: Session) -> None:
        """Take the agent's stream over from an earlier session, which ends; nothing more of that will be stored once the writer is through."""
        host_id = session.host.host_id
        current = self._sessions.get(host_id)
        if current is not None and current.epoch != session.epoch:
            self._superseded.setdefault(host_id, deque(maxlen=REMEMBERED_EPOCHS)).append(current.epoch)
        if (earlier := self._newest.get(host_id)) is not None:
            earlier.void(Ending(grpc.StatusCode.ABORTED, "a new stream of this agent has taken over"))
        self._sessions[host_id] = self._newest[host_id] = session

    def leave(self, session: Session) -> bool:
        """Take a session off; False when another has already taken its place."""
        if self._sessions.get(session.host.host_id) is not session:
            return False
        del self._sessions[session.host.host_id]
        return True

    def end_all(self, because: str) -> None:
        """End every stream; the agents come back when the collector does."""
        for session in self:
            session.end(Ending(grpc.StatusCode.UNAVAILABLE, because))
