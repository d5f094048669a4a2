"""What travels through the collector: batches on their way in, and the hosts they come from.

Before it on the pipe: `ingest`, which makes these from the wire. After it: `history`, which stores them. Invariant: plain frozen data, no behaviour
beyond what it can say about itself; neither protobuf nor duckdb is known here.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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
    clock_offset_s: float  # collector minus agent, as of its last Hello
    connected: bool
    removed_at: datetime | None = None  # since when it isn't watched any more


def host_id_of(agent_id: str) -> int:
    """63 bits of a hash of the agent id: stable, with nothing to allocate or to lose."""
    return int.from_bytes(hashlib.blake2b(agent_id.encode(), digest_size=8).digest()) >> 1
