"""What travels through the collector: batches on their way in, and the hosts they come from.

Before it on the pipe: `ingest`, which makes these from the wire. After it: `history`, which stores them. Invariant: plain frozen data, no behaviour
beyond what it can say about itself; neither protobuf nor duckdb is known here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

NULL_INT64 = -(2**63)  # as on the wire: the smallest integer means null, NaN means null for doubles, -1 for texts


class Lane(StrEnum):
    """Which queue a batch came in."""

    LIVE = "live"
    BACKFILL = "backfill"


class Outcome(StrEnum):
    """What became of a seq. Each of them fills its place: none is asked for again."""

    STORED = "stored"
    REJECTED = "rejected"  # by the collector, for a reason
    DROPPED = "dropped"  # by the agent, for a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows of one schema in one batch.

    **Shapes**: `words` is int64[1 + columns, rows], C-contiguous; row 0 is ts in microseconds since 1970 UTC; a float64 column is read with
    `.view("<f8")`; a text column indexes `texts`.
    """

    schema_id: int
    words: npt.NDArray[np.int64]
    texts: Sequence[str]

    @property
    def rows(self) -> int:
        return int(self.words.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where one table lies within the words of its batch; `width` counts ts."""

    schema_id: int
    width: int
    rows: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.width * self.rows


@dataclass(frozen=True, eq=False)
class Layout:
    """How the tables of a batch lie end to end. One object serves all batches of its kind, so that a group of them can be treated as one."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int, int]]) -> "Layout":
        """From schema id, width and rows of each table."""
        parts: list[Part] = []
        for schema_id, width, rows in sizes:
            parts.append(Part(schema_id=schema_id, width=width, rows=rows, start=parts[-1].end if parts else 0))
        return cls(tuple(parts))

    @cached_property
    def words(self) -> int:
        return self.parts[-1].end if self.parts else 0

    @cached_property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


class Tables(Sequence[Table]):
    """All tables of one batch, as they travel: one stretch of words, one dictionary. Each is taken out when somebody asks for it.

    **Shapes**: `words` is int64[layout.words]; every text column indexes `texts`.
    """

    __slots__ = ("layout", "texts", "words")

    def __init__(self, layout: Layout, words: npt.NDArray[np.int64], texts: Sequence[str]) -> None:
        self.layout = layout
        self.words = words
        self.texts = texts

    def __len__(self) -> int:
        return len(self.layout.parts)

    @overload
    def __getitem__(self, index: int) -> Table: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Table]: ...
    def __getitem__(self, index: int | slice) -> Table | Sequence[Table]:
        if isinstance(index, slice):
            return [self._table(part) for part in self.layout.parts[index]]
        return self._table(self.layout.parts[index])

    def _table(self, part: Part) -> Table:
        words = self.words[part.start : part.end].reshape(part.width, part.rows)
        return Table(schema_id=part.schema_id, words=words, texts=self.texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One batch, decoded and found good, not yet durable."""

    host_id: int
    epoch: int
    seq: int
    lane: Lane
    received_at_us: int
    content_hash: int
    bytes: int
    tables: Sequence[Table]
    log_positions: Mapping[str, str] = field(default_factory=dict)  # opaque; an empty one is to be forgotten
    times_us: tuple[int, int] | None = None  # of its first and of its last sample

    @property
    def rows(self) -> int:
        return self.tables.layout.rows if isinstance(self.tables, Tables) else sum(table.rows for table in self.tables)

    @property
    def values(self) -> int:
        """Without ts."""
        words = self.tables.layout.words if isinstance(self.tables, Tables) else sum(table.words.size for table in self.tables)
        return words - self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Seqs that will never be stored, first to last inclusive, with the reason; durable like an arrival."""

    host_id: int
    epoch: int
    first: int
    last: int
    outcome: Outcome
    reason: str
    received_at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host as the collector knows it. `host_id` is what rows carry; `name` may change and belongs to one agent at a time."""

    host_id: int
    agent_id: str
    name: str
    first_seen_at: datetime
    last_seen_at: datetime  # when its newest batch was received
    boot_id: str
    agent_version: str
    clock_offset_s: float  # how far its clock is ahead of the collector's, to a second
    connected: bool
    removed_at: datetime | None = None  # since when it isn't watched any more
    clock_is_off: bool = False  # further than is tolerated, and since then not yet within half of that


def host_id_of(agent_id: str) -> int:
    """63 bits of a hash of the agent id: stable, with nothing to allocate or to lose."""
    return int.from_bytes(hashlib.blake2b(agent_id.encode(), digest_size=8).digest()) >> 1
