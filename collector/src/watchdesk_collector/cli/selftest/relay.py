"""A TCP relay between agents and the collector that can be told to fail in the ways networks do.

It runs an event loop in a thread of its own; every method may be called from any thread and has had its effect when it returns. Invariant: bytes are
forwarded in order and unchanged, or not at all; what fails is when they stop.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from random import Random
from types import TracebackType
from typing import Self, TypeVar

CHUNK_BYTES = 64 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: close sends RST

T = TypeVar("T")


class Relay:
    """Forwards what comes to `port` of 127.0.0.1 to `target_port` there, from when it is made until it is closed."""

    def __init__(self, target_port: int, *, random: Random) -> None:
        self._target = ("127.0.0.1", target_port)
        self._random = random
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.truncated = 0  # connections cut short in the middle of something, since the start
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._loop = asyncio.new_event_loop()
        self._accepting = self._loop.create_task(self._accept())
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._links)

    def cut(self) -> int:
        """Close all connections, and end each new one at once, until `heal`. Returns how many there were.

        The port stays ours meanwhile: a closed one could be given to somebody else, even to the agent that tries to connect.
        """
        self._is_cut = True
        return self._run(self._end_links())

    def stall(self) -> int:
        """Keep connections and take new ones, but forward nothing either way until `heal`. Returns how many there are."""
        return self._run(self._stall())

    def reset(self) -> int:
        """Reset all connections (RST); new ones work. Returns how many there were."""
        return self._run(self._end_links(with_reset=True))

    def truncate(self) -> int:
        """Of what each connection carries next forward a part, then close that direction or both; new connections work. Returns how many there are.

        Counted in `truncated` when it has happened.
        """
        return self._run(self._truncate())

    def heal(self) -> None:
        """Forward everything again, what was stalled first."""
        self._run(self._heal())

    def close(self) -> None:
        """End all connections, the thread, and the port."""
        if self._thread.is_alive():
            self._run(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _stall(self) -> int:
        self._flows.clear()
        return len(self._links)

    async def _truncate(self) -> int:
        for link in self._links:
            link.is_to_be_truncated = True
        return len(self._links)

    async def _heal(self) -> None:
        self._is_cut = False
        self._flows.set()

    async def _end_links(self, *, with_reset: bool = False) -> int:
        links, self._links = self._links, {}
        for link, carrying in links.items():
            link.ends_with_reset = with_reset
            carrying.cancel()
        await asyncio.gather(*links.values(), return_exceptions=True)
        return len(links)

    async def _end(self) -> None:
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        await self._end_links()
        self._listener.close()

    async def _accept(self) -> None:
        while True:
            near, _ = await self._loop.sock_accept(self._listener)
            link = _Link(near)
            self._links[link] = self._loop.create_task(self._carry(link))

    async def _carry(self, link: "_Link") -> None:
        """One connection, from when it is accepted until both directions have ended. Sockets are closed only when nobody waits for them."""
        try:
            if self._is_cut or not await self._reach(link.far):
                link.ends_with_reset = True
                return
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pump(link, link.near, link.far))
                directions.create_task(self._pump(link, link.far, link.near))
        except* OSError:
            pass  # an end went away: the other one shall notice
        finally:
            self._links.pop(link, None)
            link.close()

    async def _reach(self, far: socket.socket) -> bool:
        """False when nobody listens there."""
        try:
            await self._loop.sock_connect(far, self._target)
        except OSError:
            return False
        return True

    async def _pump(self, link: "_Link", source: socket.socket, sink: socket.socket) -> None:
        """Forward one direction until it ends. **Errors**: OSError when the connection as a whole does."""
        while chunk := await self._loop.sock_recv(source, CHUNK_BYTES):
            await self._flows.wait()
            if link.is_to_be_truncated:
                await self._cut_short(link, chunk, sink)
                break
            await self._loop.sock_sendall(sink, chunk)
        sink.shutdown(socket.SHUT_WR)

    async def _cut_short(self, link: "_Link", chunk: bytes, sink: socket.socket) -> None:
        link.is_to_be_truncated = False
        self.truncated += 1
        await self._loop.sock_sendall(sink, chunk[: self._random.randrange(len(chunk))])
        if self._random.random() < 0.5:
            raise ConnectionAbortedError("both directions, not only this one")


class _Link:
    """One agent's connection, and ours to the collector in its stead."""

    def __init__(self, near: socket.socket) -> None:
        self.near = near
        self.far = socket.socket()
        self.far.setblocking(False)
        self.is_to_be_truncated = False
        self.ends_with_reset = False

    def close(self) -> None:
        for end in (self.near, self.far):
            if self.ends_with_reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.close()
