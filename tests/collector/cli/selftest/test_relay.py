"""The relay of the self-test, over real sockets."""

import errno
import random
import socket
import threading
from collections.abc import Iterator

import pytest
from watchdesk_collector.cli.selftest.relay import Relay

WITHIN_S = 5.0


class Echo:
    """A server that sends back what it gets."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            try:
                while chunk := connection.recv(65536):
                    connection.sendall(chunk)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def relay(echo: Echo) -> Iterator[Relay]:
    with Relay(echo.port, random=random.Random(1)) as relay:
        yield relay


def connect(relay: Relay) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", relay.port), timeout=WITHIN_S)
    connection.settimeout(WITHIN_S)
    return connection


def echoed(connection: socket.socket, sent: bytes) -> bytes:
    """What comes back of it."""
    connection.sendall(sent)
    return received(connection, len(sent))


def received(connection: socket.socket, size: int) -> bytes:
    came = b""
    while len(came) < size and (chunk := connection.recv(size - len(came))):
        came += chunk
    return came


def ending(connection: socket.socket) -> str:
    """How a connection ends, after what still comes of it."""
    try:
        while connection.recv(65536):
            pass
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "closed"


def is_reset(relay: Relay) -> bool:
    """Whether a new connection is reset; that may come while it is still being made."""
    try:
        with connect(relay) as connection:
            return ending(connection) == "ECONNRESET"
    except ConnectionResetError:
        return True


def test_what_is_sent_arrives_unchanged_both_ways(relay: Relay) -> None:
    sent = random.Random(2).randbytes(3_000_000)
    with connect(relay) as connection:
        threading.Thread(target=connection.sendall, args=(sent,)).start()
        assert received(connection, len(sent)) == sent


def test_an_end_of_one_direction_is_handed_on(relay: Relay) -> None:
    with connect(relay) as connection:
        connection.sendall(b"last")
        connection.shutdown(socket.SHUT_WR)
        assert received(connection, 5) == b"last"
        assert ending(connection) == "closed"


def test_a_cut_closes_connections_and_ends_new_ones_until_healed(relay: Relay) -> None:
    with connect(relay) as connection:
        assert echoed(connection, b"before") == b"before"
        assert relay.cut() == 1
        assert ending(connection) == "closed"
    assert is_reset(relay)
    relay.heal()
    with connect(relay) as connection:
        assert echoed(connection, b"after") == b"after"


def test_a_stall_keeps_connections_and_what_was_sent_comes_after_it(relay: Relay) -> None:
    with connect(relay) as connection:
        assert echoed(connection, b"before") == b"before"
        assert relay.stall() == 1
        connection.sendall(b"meanwhile")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        relay.heal()
        connection.settimeout(WITHIN_S)
        assert received(connection, 9) == b"meanwhile"


def test_a_reset_is_seen_as_one_and_new_connections_work(relay: Relay) -> None:
    with connect(relay) as connection:
        assert echoed(connection, b"before") == b"before"
        assert relay.reset() == 1
        assert ending(connection) == "ECONNRESET"
    with connect(relay) as connection:
        assert echoed(connection, b"after") == b"after"


@pytest.mark.parametrize("seed", range(6))
def test_a_truncated_connection_carries_a_part_and_ends(echo: Echo, seed: int) -> None:
    sent = bytes(range(200)) * 10
    with Relay(echo.port, random=random.Random(seed)) as relay:
        with connect(relay) as connection:
            assert echoed(connection, b"before") == b"before"
            assert relay.truncate() == 1
            connection.sendall(sent)
            came = received(connection, len(sent))
            assert len(came) < len(sent)
            assert sent.startswith(came)
            assert relay.truncated == 1
        with connect(relay) as connection:
            assert echoed(connection, sent) == sent


def test_a_connection_to_a_target_that_is_away_ends() -> None:
    echo = Echo()
    with Relay(echo.port, random=random.Random(1)) as relay:
        echo.close()
        assert is_reset(relay)


def test_ended_connections_are_forgotten(relay: Relay) -> None:
    for _ in range(20):
        with connect(relay) as connection:
            assert echoed(connection, b"x") == b"x"
            connection.shutdown(socket.SHUT_WR)
            assert ending(connection) == "closed"
    assert relay.connections <= 1  # the last one may be ending
