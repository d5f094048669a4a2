"""What can go wrong with history, by what its owner does about it."""


class HistoryError(Exception):
    """Any of the below; the message is one sentence for people."""


class HistoryLocked(HistoryError):
    """Another process holds the database. The owner stops."""


class HistoryUnusable(HistoryError):
    """The database cannot be opened even without its write-ahead log. The owner goes on without history, or stops."""


class HistoryFull(HistoryError):
    """Too little free space; nothing was touched. The owner refuses batches (RESOURCE_EXHAUSTED) and tries again later."""


class CommitFailed(HistoryError):
    """The transaction was rolled back: nothing of it is in. The same call may be made again."""


class HistoryFailed(HistoryError):
    """The database instance is dead; what was committed is safe. The owner calls `reopen()`."""


class ExportFailed(HistoryError):
    """A Parquet file could not be written; hot rows and files are as they were. The owner tries again later."""


class QueryError(HistoryError):
    """A query that DuckDB refuses, in DuckDB's words."""


class UnknownMeasurement(HistoryError):
    """A query names a measurement that nobody declared."""
