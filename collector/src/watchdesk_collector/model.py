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
    """Where one table lies within the words of its batch, and its columns within those of all, ts aside; `width` counts ts."""

    schema_id: int
    width: int
    rows: int
    start: int
    first_column: int

    @property
    def end(self) -> int:
        return self.start + self.width * self.rows

    @property
    def end_column(self) -> int:
        return self.first_column + self.width - 1


@dataclass(frozen=True, eq=False)
class Layout:
    """How the tables of a batch lie end to end. One object serves all batches of its kind, so that a group of them can be treated as one."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int, int]]) -> "Layout":
        """From schema id, width and rows of each table."""
        parts: list[Part] = []
        for schema_id, width, rows in sizes:
            start, first_column = (parts[-1].end, parts[-1].end_column) if parts else (0, 0)
            parts.append(Part(schema_id=schema_id, width=width, rows=rows, start=start, first_column=first_column))
        return cls(tuple(parts))

    @cached_property
    def words(self) -> int:
        return self.parts[-1].end

    @cached_property
    def columns(self) -> int:
        return self.parts[-1].end_column

    @cached_property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """All tables of one batch, as they travel: one stretch of words, one dictionary.

    **Shapes**: `words` is int64[layout.words]; every text column indexes `texts`; `scales` has a byte for each column of every table, ts aside: where
    a float64 column has one that is not 0, its words are integers, 10^(scale - 1) times its numbers, and the smallest integer means null.
    """

    layout: Layout
    words: npt.NDArray[np.int64]
    scales: bytes
    texts: Sequence[str]


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
    tables: Sequence[Table] | Tables
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
