"""The port that the demo's probe watches: open, closed, open again."""

import socket
import threading


class Target:
    """A TCP port of 127.0.0.1 that accepts connections and says nothing, while it is open."""

    def __init__(self, *, port: int) -> None:
        self.port = port
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        self._thread = threading.Thread(target=_accept, args=(listener,), name="probe target")
        self._thread.start()

    def stop(self) -> None:
        """Connections are refused when it returns; closing a closed port does nothing."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept; close alone would not
        self._thread.join()
        self._listener.close()
        self._listener = self._thread = None


def _accept(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.close()
