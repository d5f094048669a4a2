"""An open history: how rows get in, move from hot tables to files, and leave. Its methods are what `History` offers under the same names.

Invariant: disk first, memory second: numbers and ranges in memory change only once the transaction that they describe has been committed.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.clock import Clock
from watchdesk_collector.history import catalogue, generation, manifest, merging, retention, rows, sealing
from watchdesk_collector.history.catalogue import BATCH
from watchdesk_collector.history.config import HistoryConfig
from watchdesk_collector.history.errors import CommitFailed
from watchdesk_collector.history.hot import Hot
from watchdesk_collector.history.instance import Instance, transaction
from watchdesk_collector.history.leaving import Leaving
from watchdesk_collector.history.ledger import Ledger
from watchdesk_collector.history.model import Change, ParquetFile, Removed, Size
from watchdesk_collector.history.positions import LOG_POSITION, LogPositions
from watchdesk_collector.history.reader import Reader
from watchdesk_collector.history.space import Space
from watchdesk_collector.history.steps import Step, Steps
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Hole

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Store:
    """Parts that belong to one open instance, and what is done with them."""

    config: HistoryConfig
    clock: Clock
    metrics: Metrics
    steps: Steps
    space: Space
    instance: Instance
    hot: Hot
    ledger: Ledger
    positions: LogPositions
    reader: Reader
    leaving: Leaving
    schemas: dict[int, Measurement]
    numbers: Iterator[int]
    generation_started_s: float

    @property
    def root(self) -> Path:
        return self.space.root

    def declare(self, measurement: Measurement) -> str | None:
        known = self.hot.measurements.get(measurement.name)
        is_news = catalogue.extend(known, measurement) is not known
        if is_news:
            self.space.require_floor()
        reason = self.adopt(measurement)
        if is_news and reason is None:
            self.checkpoint()
        return reason

    def adopt(self, measurement: Measurement) -> str | None:
        """As `declare`, without the checkpoint that must come before the first row."""
        if reason := self._refusal(measurement):
            return reason
        known = self.hot.measurements.get(measurement.name)
        extended = catalogue.extend(known, measurement)
        if extended is not known:
            with transaction(self.instance.writer):
                self.hot.extend(self.instance.writer, extended)
            self.hot.note_extended(extended)
            self.steps(Step.TABLES_DECLARED)
        self.schemas[measurement.schema_id] = measurement
        return None

    def note_known(self) -> None:
        """Take rows of every measurement as it is in the catalogue, without another declaration of it."""
        self.schemas.update({measurement.schema_id: measurement for measurement in self.hot.measurements.values()})

    def _refusal(self, measurement: Measurement) -> str | None:
        return catalogue.refusal(
            measurement,
            known=self.hot.measurements.get(measurement.name),
            measurements=len(self.hot.measurements),
            max_measurements=self.config.max_measurements,
            max_columns=self.config.max_columns,
        )

    def commit(self, arrivals: Sequence[Arrival], holes: Sequence[Hole]) -> None:
        if not arrivals and not holes:
            return
        self.space.require_floor()
        inserts = [*rows.of_arrivals(arrivals, self.schemas), (BATCH, rows.of_batches(arrivals, holes))]
        if any(arrival.log_positions for arrival in arrivals):
            inserts.append((LOG_POSITION, self.positions.rows(arrivals)))
        current = self.hot.current
        with transaction(self.instance.writer):
            for measurement, table in inserts:
                generation.insert(self.instance.writer, measurement.name, current, table)
            self.steps(Step.ROWS_INSERTED)
        self.steps(Step.ROWS_COMMITTED)
        for measurement, table in inserts:
            self.hot.note_inserted(measurement.name, table.num_rows)
        self.ledger.note_committed(arrivals, holes)
        self.positions.note_committed(arrivals)

    def checkpoint(self) -> bool:
        self.space.require_for_checkpoint()
        with self.metrics.checkpoint_seconds.time():
            is_done = self.instance.checkpoint()
        if is_done:
            self.ledger.note_checkpoint()
            self.steps(Step.CHECKPOINTED)
            self.leaving.unlink_due(now_s=self.clock.monotonic_s(), steps=self.steps)
        else:
            log.info("a long query is in the way of a checkpoint of history; the next one makes up for it")
        return is_done

    def rotation_is_due(self) -> bool:
        rows_now = self.hot.current_rows()
        age_s = self.clock.monotonic_s() - self.generation_started_s
        return rows_now > 0 and (rows_now >= self.config.generation_rows or age_s >= self.config.generation_age)

    def rotate(self) -> None:
        if self.hot.current_rows() == 0:
            return
        self.space.require_floor()
        number = next(self.numbers)
        with transaction(self.instance.writer):
            self.hot.begin(self.instance.writer, number)
        self.hot.note_begun(number)
        self.generation_started_s = self.clock.monotonic_s()
        self.steps(Step.GENERATION_BEGUN)
        self.checkpoint()

    def export(self) -> Change | None:
        waiting = self.hot.waiting()
        if not waiting:
            return None
        now = self.clock.now()
        sealer = sealing.Sealer(root=self.root, steps=self.steps)
        tables = {number: [name for name, count in counts.items() if count] for number, counts in waiting.items()}
        with self.instance.reader() as cursor:
            files = sealer.export(cursor, tables, oldest_day=sealing.oldest_day(now, self.config.max_age), at=now)
        return Change(added=files, removed=(), generations=tuple(waiting))

    def merge(self) -> Change | None:
        now = self.clock.now()
        with self.instance.reader() as cursor:
            choice = merging.choose(manifest.read(cursor), now)
            if choice is None:
                return None
            merged = merging.merge(cursor, choice, root=self.root, number=next(self.numbers), at=now, steps=self.steps)
        return Change(added=[merged], removed=choice.files, generations=())

    def apply(self, change: Change) -> bool:
        if not self._still_holds(change):
            self._discard(change.added)
            return False
        with self._discarding(change.added), transaction(self.instance.writer):
            self._write(change)
        self.steps(Step.CHANGE_COMMITTED)
        self.hot.note_dropped(change.generations)
        self._let_go(change.removed)
        self.metrics.sealed_rows.inc(sum(file.rows for file in change.added if file.level == 0))
        return True

    def _still_holds(self, change: Change) -> bool:
        """Whether its sources are all history yet, and its files on disk: retention or a reopened instance may have come in between."""
        are_hot = set(change.generations) <= set(self.hot.generations)
        are_on_disk = all((self.root / file.path).exists() for file in change.added)
        with self.instance.reader() as cursor:
            return are_hot and are_on_disk and manifest.has_all(cursor, change.removed)

    def _write(self, change: Change) -> None:
        cursor = self.instance.writer
        manifest.add(cursor, change.added)
        manifest.remove(cursor, change.removed)
        self.hot.drop(cursor, change.generations)
        if change.generations:
            horizon = self.clock.now() - timedelta(seconds=self.config.max_age)
            self.ledger.forget(horizon)
            self.ledger.write(cursor)
            self.positions.forget(horizon)
            self.positions.write(cursor)
        self.steps(Step.MANIFEST_WRITTEN)

    @contextmanager
    def _discarding(self, files: Sequence[ParquetFile]) -> Iterator[None]:
        try:
            yield
        except CommitFailed:
            self._discard(files)
            raise

    def _discard(self, files: Sequence[ParquetFile]) -> None:
        """Unlink files that did not become history."""
        with self.instance.reader() as cursor:
            for file in files:
                if not manifest.has_all(cursor, [file]):
                    (self.root / file.path).unlink(missing_ok=True)

    def _let_go(self, files: Sequence[ParquetFile]) -> None:
        self.leaving.note((self.root / file.path for file in files), at_s=self.clock.monotonic_s())

    def seal(self) -> None:
        self.rotate()
        if (change := self.export()) is not None:
            self.apply(change)

    def compact(self) -> int:
        merged_away = 0
        while (change := self.merge()) is not None:
            if self.apply(change):
                merged_away += len(change.removed)
        return merged_away

    def retain(self) -> Sequence[Removed]:
        with self.instance.reader() as cursor:
            files = manifest.read(cursor)
        removed = retention.choose(
            files,
            not_before=self.clock.now() - timedelta(seconds=self.config.max_age),
            max_bytes=self.config.max_bytes,
            other_bytes=self.space.hot_bytes(),
        )
        leaving = [one.file for one in removed]
        with transaction(self.instance.writer):
            manifest.remove(self.instance.writer, leaving)
        self.steps(Step.FILES_RETIRED)
        self._let_go(leaving)
        self.metrics.retired_bytes.inc(sum(file.bytes for file in leaving))
        return removed

    def sizes(self) -> Sequence[Size]:
        with self.instance.reader() as cursor:
            sealed = manifest.read_sizes(cursor)
        return [self._size(name, *sealed.get(name, (0, 0, 0))) for name in sorted(self.hot.measurements)]

    def _size(self, name: str, sealed_rows: int, sealed_bytes: int, files: int) -> Size:
        return Size(measurement=name, hot_rows=self.hot.rows_of(name), sealed_rows=sealed_rows, sealed_bytes=sealed_bytes, files=files)
