"""History: every sample and every batch's fate, in DuckDB while hot and in Parquet once sealed.

Before it on the pipe: `ingest`, which commits decoded batches. After it: alerting, the web and SQL, which query. Invariant: each committed row is
visible exactly once, whether its generation is hot, being sealed, sealed or merged, and whatever kills the process in between.
"""

from watchdesk_collector.history.config import HistoryConfig
from watchdesk_collector.history.errors import (
    CommitFailed,
    ExportFailed,
    HistoryError,
    HistoryFailed,
    HistoryFull,
    HistoryLocked,
    HistoryUnusable,
    QueryError,
    UnknownMeasurement,
)
from watchdesk_collector.history.history import History
from watchdesk_collector.history.model import Change, ParquetFile, Recovery, Removed, Size, Snapshot, TableSnapshot, Unreplayed, hot_name
from watchdesk_collector.history.positions import Positions
from watchdesk_collector.history.ranges import RangeSet

__all__ = [
    "Change",
    "CommitFailed",
    "ExportFailed",
    "History",
    "HistoryConfig",
    "HistoryError",
    "HistoryFailed",
    "HistoryFull",
    "HistoryLocked",
    "HistoryUnusable",
    "ParquetFile",
    "Positions",
    "QueryError",
    "RangeSet",
    "Recovery",
    "Removed",
    "Size",
    "Snapshot",
    "TableSnapshot",
    "UnknownMeasurement",
    "Unreplayed",
    "hot_name",
]
