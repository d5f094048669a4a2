"""The SQL of the pages, all of it: each constant is one query over history, each function runs one and gives plain rows.

Time buckets are whole numbers (`slot` since `since`), so that a gap is a slot without a row.
"""

from datetime import datetime

from watchdesk_collector.clock import from_us
from watchdesk_collector.web.deps import HistoryReader

_LAST_COMMIT = """
SELECT epoch_us(max(ts)) AS at_us
FROM batch
WHERE ts >= ?
"""


def last_commit_at(history: HistoryReader, *, since: datetime) -> datetime | None:
    """When the newest batch was committed, None when there is none since `since`."""
    at_us = history.query(_LAST_COMMIT, [since], tables=["batch"], since=since)["at_us"][0].as_py()
    return None if at_us is None else from_us(at_us)
