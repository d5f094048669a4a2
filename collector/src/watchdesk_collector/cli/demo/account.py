"""The demo's books: what the agent took and had acked, by its own log and spool, against what the collector stored, counted in SQL."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from watchdesk_collector.cli.demo.api import CollectorApi
from watchdesk_collector.history.catalogue import NOT_SAMPLED

_TAKEN = re.compile(r"agent stopped: (\d+) samples taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The agent's side, after it has stopped. `samples_taken` is None when it did not say."""

    samples_taken: int | None
    batches_spooled: int
    batches_acked: int

    @property
    def samples_acked(self) -> int | None:
        """All that were taken, when every batch was acked; None when not, for the agent does not look into batches."""
        return self.samples_taken if self.batches_acked == self.batches_spooled else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The collector's side."""

    samples: int
    batches: int


def read_sent(*, log: Path, spool: Path) -> Sent:
    """What the agent's log says last, and what its spool counts: ids are never used twice, so the highest is how many batches there were."""
    taken = _TAKEN.findall(log.read_text(encoding="utf-8", errors="replace"))
    with closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True)) as connection:
        (spooled,) = connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'batch'").fetchone()
        (unsent,) = connection.execute("SELECT count(*) FROM batch WHERE is_done = 0").fetchone()
        (dropped,) = connection.execute("SELECT coalesce(sum(last - first + 1), 0) FROM hole").fetchone()
    return Sent(samples_taken=int(taken[-1]) if taken else None, batches_spooled=spooled, batches_acked=spooled - unsent - dropped)


def count_stored(api: CollectorApi) -> Stored:
    """Rows of every measurement, and batches."""
    return Stored(samples=api.number(_count_all(api)), batches=api.number("SELECT count(*) FROM batch WHERE outcome = 'stored'"))


def complaints(sent: Sent, stored: Stored) -> Iterator[str]:
    """What does not add up, a sentence each."""
    if sent.samples_taken is None:
        yield "The agent did not say how many samples it took, so it did not stop in good order."
    if sent.batches_acked != sent.batches_spooled:
        yield f"{sent.batches_spooled - sent.batches_acked} of the agent's {sent.batches_spooled} batches were not acked."
    if stored.batches != sent.batches_acked:
        yield f"{sent.batches_acked} batches were acked and {stored.batches} are stored."
    if sent.samples_acked is not None and sent.samples_acked != stored.samples:
        yield f"{sent.samples_acked:,} samples were acked and {stored.samples:,} are stored."


def _count_all(api: CollectorApi) -> str:
    measurements = [name for (name,) in api.sql("SELECT DISTINCT measurement FROM catalog ORDER BY measurement")]
    sampled = [name for name in measurements if name not in NOT_SAMPLED]
    counts = " UNION ALL ".join(f"SELECT count(*) AS rows FROM {name}" for name in sampled)  # noqa: S608 -- from the catalogue
    return f"SELECT sum(rows) FROM ({counts})"  # noqa: S608 -- the same
