"""What the spool is made of and hands out: plain data, and arithmetic on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from watchdesk_proto.settings import Form, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolConfig:
    """How much an agent keeps while its collector is away, `[spool]`."""

    max_bytes: int = setting("256MiB", form=Form.SIZE, help="Bytes of batches kept on disk; beyond it the oldest are dropped and counted.")
    max_age: float = setting("7d", form=Form.DURATION, help="Older batches are dropped and counted.")


@dataclass(frozen=True, slots=True)
class Spooled:
    """One batch as it lies in the spool. `id` grows in the order of spooling."""

    id: int
    epoch: int
    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Hole:
    """Seqs that were given up, first to last inclusive."""

    epoch: int
    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """Unsent batches of one epoch: the first and the last, the first slot in them, and when the last of them was spooled."""

    epoch: int
    first: int
    last: int
    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStats:
    """What the spool holds, and what it has lost since this agent started."""

    batches: int
    bytes: int
    dropped_batches: int
    at_risk_batches: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch without its payload."""

    id: int
    epoch: int
    seq: int
    spooled_us: int
    bytes: int


def covering(oldest: Sequence[Entry], excess: int) -> Sequence[Entry]:
    """As few of the oldest as make up for the excess, or all of them."""
    freed = 0
    for count, entry in enumerate(oldest, start=1):
        freed += entry.bytes
        if freed >= excess:
            return oldest[:count]
    return oldest


def runs(entries: Sequence[Entry]) -> Iterator[tuple[int, int, int]]:
    """Epoch, first and last of each run of consecutive seqs."""
    start = previous = entries[0]
    for entry in entries[1:]:
        if entry.epoch != previous.epoch or entry.seq != previous.seq + 1:
            yield start.epoch, start.seq, previous.seq
            start = entry
        previous = entry
    yield start.epoch, start.seq, previous.seq
