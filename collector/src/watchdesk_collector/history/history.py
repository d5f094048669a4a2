"""The facade of history: what may be called, and from which thread. `Store` does it; this class outlives a failed instance."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.attendance import Attendance
from watchdesk_collector.clock import Clock, to_us
from watchdesk_collector.history.config import HistoryConfig
from watchdesk_collector.history.errors import HistoryError, HistoryFailed
from watchdesk_collector.history.leaving import Leaving
from watchdesk_collector.history.model import Change, Recovery, Removed, Size, Snapshot, Span
from watchdesk_collector.history.opening import Opener
from watchdesk_collector.history.positions import Positions
from watchdesk_collector.history.ranges import RangeSet
from watchdesk_collector.history.space import Space
from watchdesk_collector.history.steps import Steps, pass_by
from watchdesk_collector.history.store import Store
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Hole, Host


class History:
    """One state folder's history.

    "Writer" methods are called from one thread, the writer. "Maintenance" methods may run beside it and beside each other, each once at a time.
    """

    def __init__(
        self,
        *,
        path: Path,
        config: HistoryConfig,
        catalogue: Sequence[Measurement],
        hosts: Callable[[], Sequence[Host]],
        clock: Clock,
        metrics: Metrics,
        attendance: Callable[[], Attendance] | None = None,
        steps: Steps = pass_by,
    ) -> None:
        """Without `attendance` nobody is expected: `completeness` is empty then, and `gap` holds only what agents told."""
        self._space = Space(path.absolute(), config.free_space_floor)
        self._opener = Opener(
            space=self._space,
            config=config,
            builtin=tuple(catalogue),
            hosts=hosts,
            attendance=attendance or (lambda: Attendance(now_us=to_us(clock.now()))),
            clock=clock,
            metrics=metrics,
            steps=steps,
            schemas={},
            leaving=Leaving(),
        )
        self._opened: Store | None = None

    @property
    def _store(self) -> Store:
        if self._opened is None:
            raise HistoryFailed("history is closed")
        return self._opened

    def open(self) -> Recovery:
        """Writer. Open or create; a write-ahead log that does not replay is moved aside. Raises HistoryLocked, HistoryUnusable, HistoryFull."""
        self._opened, recovery = self._opener.open()
        return recovery

    def reopen(self) -> Recovery:
        """Writer. Close what is left of a failed instance and open again; running queries end with QueryError or HistoryFailed."""
        self._close()
        return self.open()

    def close(self) -> None:
        """Writer. Interrupt and await running queries, checkpoint if space allows, close."""
        if self._opened is not None:
            with suppress(HistoryError):
                self._opened.checkpoint()
            self._close()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.instance.close()
            self._opened = None

    def durable(self, host_id: int) -> Mapping[int, RangeSet]:
        """Any thread. Epoch → seqs that are stored, rejected or dropped. Read-only and live: copy what you keep."""
        return self._store.ledger.durable(host_id)

    def checkpointed(self, host_id: int) -> Mapping[int, RangeSet]:
        """Any thread. As `durable`, of what would survive the loss of the write-ahead log."""
        return self._store.ledger.checkpointed(host_id)

    def log_positions(self, host_id: int) -> Positions | None:
        """Any thread. How far the host's logs are stored, as of the newest batch that told; None when none did."""
        return self._store.positions.of(host_id)

    def declare(self, measurement: Measurement) -> str | None:
        """Writer. Create the table or add its new columns; must precede a commit with this schema_id. Returns why not, when refused.

        **Errors**: HistoryFull, CommitFailed, HistoryFailed: as for `commit`.
        """
        return self._store.declare(measurement)

    def commit(self, arrivals: Sequence[Arrival], holes: Sequence[Hole]) -> None:
        """Writer. One transaction: all rows, and one `batch` row per arrival and hole. Durable on return.

        **Errors**: HistoryFull before touching anything; CommitFailed with nothing half in; HistoryFailed when the instance died (reopen, then look
        at `durable`: the transaction may have landed). The caller has deduplicated and declared.
        """
        self._store.commit(arrivals, holes)

    def content_hash(self, host_id: int, epoch: int, seq: int) -> int | None:
        """Any thread. Of a stored batch; None when there is none (rejected and dropped seqs have no hash). Reads files: for duplicates alone."""
        return self._store.reader.content_hash(host_id, epoch, seq)

    def checkpoint(self) -> bool:
        """Writer. Fold the write-ahead log in, move `checkpointed`, unlink files that left long ago.

        False when a long query stood in the way: the next one makes up for it. HistoryFull instead of risking the instance; HistoryFailed.
        """
        return self._store.checkpoint()

    def rotation_is_due(self) -> bool:
        """Any thread. Whether the hot generation is older or larger than configured."""
        return self._store.rotation_is_due()

    def rotate(self) -> None:
        """Writer. Begin a new hot generation; the rows so far wait for `export`. Does nothing when there are none."""
        self._store.rotate()

    def export(self) -> Change | None:
        """Maintenance. Write rotated generations to Parquet, synced; takes seconds, blocks nobody. None when there are none. Raises ExportFailed."""
        return self._store.export()

    def merge(self) -> Change | None:
        """Maintenance. Merge one day's small files of one measurement into one; None when none are worth it. Raises ExportFailed."""
        return self._store.merge()

    def apply(self, change: Change) -> bool:
        """Writer. Make a change true in one transaction. False when its sources went away meanwhile: the change is undone, nothing is lost."""
        return self._store.apply(change)

    def seal(self) -> None:
        """Writer. `rotate`, `export` and `apply` in one go, for tools and for tests."""
        self._store.seal()

    def compact(self) -> int:
        """Writer. `merge` and `apply` until nothing is left to merge; returns how many files were merged away."""
        return self._store.compact()

    def retain(self) -> Sequence[Removed]:
        """Writer. Take files out of history by max_age and max_bytes; never rows. They leave the disk five minutes and a checkpoint later."""
        return self._store.retain()

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

        Each has ts, host, host_id and its columns; `hosts` and `catalog` are always there, `batch`, `gap` and `completeness` when named. Rows
        outside [since, until] (both inclusive) are not seen, nor are the rows of removed hosts. Parameters are `?` or `$1`.
        **Errors**: UnknownMeasurement, QueryError, HistoryFailed.
        """
        return self._store.reader.query(sql, params, tables=tables, span=Span(since, until))

    def snapshot(
        self, tables: Sequence[str], since: datetime | None = None, until: datetime | None = None, *, columns: Collection[str] | None = None
    ) -> Snapshot:
        """Any thread. The named tables (`batch`, `gap` and `completeness` may be among them) for a process of its own: files that overlap the range,
        and the hot rows in it.

        With `columns` each has, beside ts, host and host_id, only those of its columns that are among them.
        """
        return self._store.reader.snapshot(tables, Span(since, until), columns)

    def catalogue(self) -> Sequence[Measurement]:
        """Any thread. Every measurement: built in, declared by agents, and `batch`."""
        return list(self._store.hot.measurements.values())

    def sizes(self) -> Sequence[Size]:
        """Any thread. Rows and bytes per measurement."""
        return self._store.sizes()

    def free_bytes(self) -> int:
        """Any thread. Free space where history lives."""
        return self._space.free_bytes()
