"""SQL of the spool that one change after the other is made of; `spool` runs them in transactions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Ranges: TypeAlias = Mapping[int, Sequence[tuple[int, int]]]  # epoch to inclusive ranges of seqs
Statement: TypeAlias = tuple[str, tuple[object, ...]]

RECONCILE = """
    UPDATE batch SET is_done = NOT is_done
    WHERE is_done <> EXISTS (SELECT 1 FROM durable d WHERE d.epoch = batch.epoch AND batch.seq BETWEEN d.first AND d.last)
"""
READ_CONTENTS = """
    SELECT contents FROM (SELECT epoch, seq, contents FROM batch UNION ALL SELECT epoch, seq, contents FROM dropped)
    WHERE epoch = ? AND seq = ?
"""
READ_BACKLOG = """
    SELECT unsent.epoch, unsent.first, unsent.last, unsent.until_us, oldest.contents
    FROM (
        SELECT epoch, min(seq) AS first, max(seq) AS last, max(spooled_us) AS until_us, min(id) AS oldest_id
        FROM batch WHERE is_done = 0 GROUP BY epoch
    ) AS unsent
    JOIN batch AS oldest ON oldest.id = unsent.oldest_id
"""
READ_NOT_STORED = """
    SELECT contents, reason FROM dropped
    WHERE NOT EXISTS (SELECT 1 FROM durable d WHERE d.epoch = dropped.epoch AND dropped.seq BETWEEN d.first AND d.last)
    ORDER BY rowid
"""


def spans(ranges: Ranges) -> list[tuple[int, int, int]]:
    return [(epoch, first, last) for epoch, of_epoch in ranges.items() for first, last in of_epoch]


def declaring(declarations: Mapping[int, bytes]) -> Iterator[Statement]:
    for schema_id, payload in declarations.items():
        yield "INSERT OR IGNORE INTO declaration VALUES (?, ?)", (schema_id, payload)


def deleting(id_: int) -> Statement:
    return "DELETE FROM batch WHERE id = ?", (id_,)


def leaving(epoch: int, first: int, last: int, reason: str) -> Iterator[Statement]:
    """Leave a hole; one that continues an earlier one extends it."""
    yield "UPDATE hole SET last = ? WHERE epoch = ? AND last = ? AND reason = ?", (last, epoch, first - 1, reason)
    known = "SELECT 1 FROM hole WHERE epoch = ? AND first <= ? AND last >= ?"
    yield f"INSERT INTO hole SELECT ?, ?, ?, ? WHERE NOT EXISTS ({known})", (epoch, first, last, reason, epoch, first, last)
