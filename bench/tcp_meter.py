"""A TCP relay that counts what it carries: bytes on the socket as a network would see them, TLS included. Nothing here is part of the product."""

import socket
import threading
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024


class TcpMeter:
    """Carries connections to a port of 127.0.0.1. `up` is what their openers sent, `down` what came back."""

    def __init__(self, target_port: int) -> None:
        self.up = self.down = 0
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="tcp meter", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            far = socket.create_connection(self._target)
            for source, sink, direction in ((near, far, "up"), (far, near, "down")):
                threading.Thread(target=self._carry, args=(source, sink, direction), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        try:
            while data := source.recv(CHUNK_BYTES):
                setattr(self, direction, getattr(self, direction) + len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()
