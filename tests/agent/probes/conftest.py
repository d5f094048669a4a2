"""Real servers on loopback for probes to reach, some of them ill-behaved."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

import pytest
import trustme
from watchdesk_agent.clock import SystemClock
from watchdesk_agent.model import Value, check_rows
from watchdesk_agent.probes import KINDS
from watchdesk_agent.probes.attempt import measure_probe
from watchdesk_agent.probes.config import ProbeConfig
from watchdesk_agent.probes.measurement import MEASUREMENT
from watchdesk_agent.probes.runner import run_attempt

Named: TypeAlias = dict[str, Value]
Reply: TypeAlias = tuple[int, Mapping[str, str], bytes]


def attempt(probe: ProbeConfig) -> Named:
    """The row of one attempt."""
    row = measure_probe(probe, run_attempt(KINDS[probe.kind](probe), probe, monotonic_s=SystemClock().monotonic_s))
    check_rows(MEASUREMENT, [row])
    return dict(zip((column.name for column in MEASUREMENT.columns), row, strict=True))


class Servers:
    """Starts servers that end with the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.requests: list[tuple[str, Mapping[str, str]]] = []

    def http(self, replies: Mapping[str, Reply], *, certificate: trustme.LeafCert | None = None) -> int:
        """A web server with a reply per path; returns its port."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(replies, self.requests))
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        return int(server.server_address[1])

    def raw(self, talk: Callable[[socket.socket, threading.Event], None]) -> int:
        """A server that does with each connection what it is told; the event says that the test is over."""
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        over = threading.Event()
        threading.Thread(target=serve, args=(listener, talk, over), daemon=True).start()
        self._stack.callback(over.set)
        return int(listener.getsockname()[1])

    def closed_port(self) -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return int(listener.getsockname()[1])


def serve(listener: socket.socket, talk: Callable[[socket.socket, threading.Event], None], over: threading.Event) -> None:
    while not over.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=close_after, args=(connection, talk, over), daemon=True).start()


def close_after(connection: socket.socket, talk: Callable[[socket.socket, threading.Event], None], over: threading.Event) -> None:
    with connection:
        try:
            talk(connection, over)
        except OSError:
            return


def handler(replies: Mapping[str, Reply], requests: list[tuple[str, Mapping[str, str]]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, dict(self.headers.items())))
            status, headers, body = replies[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler


@pytest.fixture
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture
def try_once() -> Callable[[ProbeConfig], Named]:
    return attempt
