"""The facade of history. Files beside it do the work; this one says what may be called from where."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.clock import Clock
from watchdesk_collector.history.config import HistoryConfig
from watchdesk_collector.history.model import Change, Recovery, Removed, Size, Snapshot
from watchdesk_collector.history.ranges import RangeSet
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Hole, Host


class History:
    """One state folder's history. "Writer" methods are called from one thread, the writer; "maintenance" methods from one other (or the same)."""

    def __init__(
        self,
        *,
        path: Path,
        config: HistoryConfig,
        catalogue: Sequence[Measurement],
        hosts: Callable[[], Sequence[Host]],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        raise NotImplementedError

    def open(self) -> Recovery:
        """Writer. Open or create; a write-ahead log that does not replay is moved aside. Raises HistoryLocked, HistoryUnusable, HistoryFull."""
        raise NotImplementedError

    def reopen(self) -> Recovery:
        """Writer. Close what is left of a failed instance and open again; running queries end with QueryError or HistoryFailed."""
        raise NotImplementedError

    def close(self) -> None:
        """Writer. Interrupt and await running queries, checkpoint if space allows, close."""
        raise NotImplementedError

    def durable(self, host_id: int) -> Mapping[int, RangeSet]:
        """Any thread. Epoch → seqs that are stored, rejected or dropped. Read-only and live: copy what you keep."""
        raise NotImplementedError

    def checkpointed(self, host_id: int) -> Mapping[int, RangeSet]:
        """Any thread. As `durable`, of what would survive the loss of the write-ahead log."""
        raise NotImplementedError

    def declare(self, measurement: Measurement) -> str | None:
        """Writer. Create the table or add its new columns; must precede a commit with this schema_id. Returns why not, when refused."""
        raise NotImplementedError

    def commit(self, arrivals: Sequence[Arrival], holes: Sequence[Hole]) -> None:
        """Writer. One transaction: all rows, and one `batch` row per arrival and hole. Durable on return.

        **Errors**: HistoryFull before touching anything; CommitFailed with nothing half in; HistoryFailed when the instance died (reopen, then look
        at `durable`: the transaction may have landed). The caller has deduplicated and declared.
        """
        raise NotImplementedError

    def content_hash(self, host_id: int, epoch: int, seq: int) -> int | None:
        """Any thread. Of a stored batch; None when there is none (rejected and dropped seqs have no hash). Reads files: for duplicates alone."""
        raise NotImplementedError

    def checkpoint(self) -> None:
        """Writer. Fold the write-ahead log in, move `checkpointed`, unlink files that left long ago. HistoryFull instead of risking the instance."""
        raise NotImplementedError

    def rotation_is_due(self) -> bool:
        """Any thread. Whether the hot generation is older or larger than configured."""
        raise NotImplementedError

    def rotate(self) -> None:
        """Writer. Begin a new hot generation; the rows so far wait for `export`. Does nothing when there are none."""
        raise NotImplementedError

    def export(self) -> Change | None:
        """Maintenance. Write rotated generations to Parquet, synced; takes seconds, blocks nobody. None when there are none. Raises ExportFailed."""
        raise NotImplementedError

    def merge(self) -> Change | None:
        """Maintenance. Merge one day's small files of one measurement into one; None when none are worth it. Raises ExportFailed."""
        raise NotImplementedError

    def apply(self, change: Change) -> bool:
        """Writer. Make a change true in one transaction. False when its sources went away meanwhile: the change is undone, nothing is lost."""
        raise NotImplementedError

    def seal(self) -> None:
        """Writer. `rotate`, `export` and `apply` in one go, for tools and for tests."""
        raise NotImplementedError

    def compact(self) -> int:
        """Writer. `merge` and `apply` until nothing is left to merge; returns how many files were merged away."""
        raise NotImplementedError

    def retain(self) -> Sequence[Removed]:
        """Writer. Take files out of history by max_age and max_bytes; never rows. They leave the disk five minutes and a checkpoint later."""
        raise NotImplementedError

    def query(
        self,
        sql: str,
        params: Sequence[object] = (),
        *,
        tables: Sequence[str],
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pa.Table:
        """Any thread. Run our own SELECT over the named measurements as they are at one moment.

        Each has ts, host, host_id and its columns; `hosts` and `catalog` are always there, `batch` when named. Rows outside [since, until]
        (both inclusive) are not seen, nor are the rows of removed hosts. Parameters are `?` or `$1`.
        **Errors**: UnknownMeasurement, QueryError, HistoryFailed.
        """
        raise NotImplementedError

    def snapshot(self, tables: Sequence[str], since: datetime | None = None, until: datetime | None = None) -> Snapshot:
        """Any thread. The named measurements (`batch` is one) for a process of its own: files that overlap the range, and the hot rows in it."""
        raise NotImplementedError

    def catalogue(self) -> Sequence[Measurement]:
        """Any thread. Every measurement: built in, declared by agents, and `batch`."""
        raise NotImplementedError

    def sizes(self) -> Sequence[Size]:
        """Any thread. Rows and bytes per measurement."""
        raise NotImplementedError

    def free_bytes(self) -> int:
        """Any thread. Free space where history lives."""
        raise NotImplementedError
