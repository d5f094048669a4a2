"""What waits for the next commit: a queue per lane, each bounded by bytes, so that a flood of backfill never keeps out what is live.

Before it: `service`, where the task of a stream waits in `put` while its lane is full; that stream is then not read, and its agent spools. After it:
`committer`. Invariant: a queue holds at most `max_bytes` and one entry more. Lives on the event loop alone.
"""

import asyncio
from collections import deque
from typing import Generic, Protocol, TypeVar


class Weighed(Protocol):
    """What a queue must know of an entry."""

    @property
    def bytes(self) -> int: ...

    @property
    def rows(self) -> int: ...


E = TypeVar("E", bound=Weighed)


class LaneQueue(Generic[E]):
    """First in, first out. `bytes` is what is in it."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._entries: deque[E] = deque()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._entries)

    async def put(self, entry: E) -> None:
        """Waits while the queue is full; those that wait are let in one after the other, not all at once."""
        while not self._room.is_set():
            await self._room.wait()
        self._entries.append(entry)
        self._change(entry.bytes)

    def take(self, *, max_rows: int) -> list[E]:
        """The oldest, until they have so many rows."""
        taken: list[E] = []
        rows = 0
        while self._entries and rows < max_rows:
            taken.append(self._entries.popleft())
            rows += taken[-1].rows
        self._change(-sum(entry.bytes for entry in taken))
        return taken

    def _change(self, bytes_: int) -> None:
        self.bytes += bytes_
        if self.bytes < self._max_bytes:
            self._room.set()
        else:
            self._room.clear()
