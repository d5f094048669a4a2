"""Ordered batches: those that hold log lines. What is written of them and of log positions; `spool` runs it in transactions.

After it: `conversation`, which sends them one after the other, and the collector, which stores them in that order. So what it holds of a log is
always the log up to some position and nothing behind it, and it hands that position back in its Welcome. Invariant: the positions in an ordered batch
and in those before it are, taken together, all that there were when it was made.

Each remembers which one it follows. When the unsent ones lead from that which the collector's positions came with to the newest of all, link by link,
what it holds and what lies here fit together. Otherwise this spool is an old copy, or the collector has lost more than lies here; then its word
counts: see docs/adr/008.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from watchdesk_agent.spool.statements import Statement

READ_POSITIONS = "SELECT source, value FROM position WHERE value <> ''"
READ_UNTOLD = "SELECT source, value FROM position WHERE NOT is_told"
READ_UNSENT = "SELECT id, epoch, seq FROM batch WHERE is_done = 0 AND is_ordered = 1 ORDER BY id"
READ_LINKS = "SELECT epoch, seq, follows_epoch, follows_seq FROM batch WHERE is_done = 0 AND is_ordered = 1 ORDER BY id"
READ_HEAD = "SELECT epoch, seq FROM head"


@dataclass(frozen=True, slots=True, kw_only=True)
class TheirPositions:
    """The newest log positions that the collector stored, and the batch that they came with."""

    epoch: int
    seq: int
    values: Mapping[str, str]


def is_chain(links: Iterable[tuple[int, int, int, int]], *, start: tuple[int, int], end: tuple[int, int]) -> bool:
    """Whether batches, each with the one that it follows, lead from one to another. Parts of one look at the logs all follow the one before them."""
    at = last = start
    for epoch, seq, *follows in links:
        if tuple(follows) == last:
            at = last
        elif tuple(follows) != at:
            return False
        last = (epoch, seq)
    return last == end


def positioning(positions: Mapping[str, str], *, is_told: bool) -> Iterator[Statement]:
    """Keep positions. `is_told`: with these, all are as in the newest ordered batch."""
    for source, value in positions.items():
        yield "INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (source, value, is_told)
    if is_told:
        yield "UPDATE position SET is_told = 1 WHERE NOT is_told", ()
        yield "DELETE FROM position WHERE value = ''", ()


def adopting(positions: Mapping[str, str]) -> Iterator[Statement]:
    """Keep positions as the collector has them; what it has of others is not known."""
    yield "UPDATE position SET is_told = 0", ()
    for source, value in positions.items():
        yield "INSERT OR REPLACE INTO position VALUES (?, ?, 1)", (source, value)


def chaining(epoch: int, first: int, last: int) -> Iterator[Statement]:
    """These batches are ordered, and the last of them holds positions."""
    follow = """
        UPDATE batch SET is_ordered = 1, follows_epoch = (SELECT epoch FROM head), follows_seq = (SELECT seq FROM head)
        WHERE epoch = ? AND seq BETWEEN ? AND ?
    """
    yield follow, (epoch, first, last)
    yield heading(epoch, last)


def heading(epoch: int, seq: int) -> Statement:
    """The next ordered batch follows this one."""
    return "UPDATE head SET epoch = ?, seq = ?", (epoch, seq)


def following(id_: int, theirs: TheirPositions) -> Statement:
    """The oldest unsent ordered batch follows what the collector holds."""
    return "UPDATE batch SET follows_epoch = ?, follows_seq = ? WHERE id = ?", (theirs.epoch, theirs.seq, id_)


def unlinking(epoch: int, seq: int) -> Iterator[Statement]:
    """A batch was rejected: who follows it, follows what it followed. One that is given up is unlinked by a trigger."""
    before = "(SELECT follows_epoch, follows_seq FROM batch WHERE epoch = ? AND seq = ? AND is_ordered)"
    is_it = "epoch = ? AND seq = ? AND EXISTS (SELECT 1 FROM batch WHERE epoch = ? AND seq = ? AND is_ordered)"
    key = (epoch, seq)
    yield f"UPDATE head SET (epoch, seq) = {before} WHERE {is_it}", (*key, *key, *key)  # noqa: S608 - constants
    follow = f"UPDATE batch SET (follows_epoch, follows_seq) = {before} WHERE is_ordered AND follows_epoch = ? AND follows_seq = ?"  # noqa: S608
    yield follow, (*key, *key)
