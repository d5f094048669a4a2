"""Look up a name and connect: how every attempt begins."""

import socket
from collections.abc import Sequence
from typing import TypeAlias

from watchdesk_agent.probes.attempt import Attempt, Phase
from watchdesk_agent.probes.target import Address

_Candidate: TypeAlias = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def connect(address: Address, attempt: Attempt) -> socket.socket:
    """A connected socket. **Errors**: ProbeFailure."""
    candidates = _look_up(address, attempt)
    with attempt.phase(Phase.CONNECT):
        return _connect_first(candidates, attempt)


def _look_up(address: Address, attempt: Attempt) -> Sequence[_Candidate]:
    """The C library cannot be told a deadline; a resolver that hangs holds up this attempt alone."""
    if address.is_literal:
        return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    with attempt.phase(Phase.DNS):
        return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)


def _connect_first(candidates: Sequence[_Candidate], attempt: Attempt) -> socket.socket:
    """The first address that accepts. Each gets its share of the time that is left, so that a dead IPv6 route does not hide a live IPv4 one."""
    for position, (family, kind, protocol, _, where) in enumerate(candidates, start=1):
        is_last = position == len(candidates)
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(attempt.remaining_s() / (len(candidates) - position + 1))
            connection.connect(where)
        except OSError:
            connection.close()
            if is_last:
                raise
        else:
            return connection
    raise AssertionError("getaddrinfo gives at least one address or raises")
