"""Retention: which files leave history, by age and by size. Whole files, oldest first; rows are never deleted."""

from collections.abc import Iterable
from datetime import datetime

from watchdesk_collector.history.model import ParquetFile, Removed


def choose(files: Iterable[ParquetFile], *, not_before: datetime, max_bytes: int, other_bytes: int) -> list[Removed]:
    """Files whose every row is before `not_before`, and then the oldest until all that is left, with `other_bytes` (the hot database), fits."""
    oldest_first = sorted(files, key=lambda file: (file.last_ts, file.path))
    removed = [Removed(file=file, reason="max_age") for file in oldest_first if file.last_ts < not_before]
    kept = oldest_first[len(removed) :]
    excess = other_bytes + sum(file.bytes for file in kept) - max_bytes
    for file in kept:
        if excess <= 0:
            break
        removed.append(Removed(file=file, reason="max_bytes"))
        excess -= file.bytes
    return removed
