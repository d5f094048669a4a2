"""Opening history: whatever a crash, a full disk or a damaged write-ahead log left, the result is a store whose every row is there once.

Order matters: tables first, then a checkpoint, then the removal of orphans: a file is only unlinked when no lost log could bring back the row that
names it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.attendance import Attendance
from watchdesk_collector.clock import Clock, to_us
from watchdesk_collector.history import catalogue, generation, ledger, manifest, parquet, positions, set_aside
from watchdesk_collector.history.catalogue import BATCH
from watchdesk_collector.history.config import HistoryConfig
from watchdesk_collector.history.errors import HistoryFull
from watchdesk_collector.history.hot import Hot, numbers_from
from watchdesk_collector.history.instance import Instance, open_instance, transaction
from watchdesk_collector.history.leaving import Leaving
from watchdesk_collector.history.ledger import Ledger
from watchdesk_collector.history.model import Recovery
from watchdesk_collector.history.positions import LogPositions
from watchdesk_collector.history.reader import Reader
from watchdesk_collector.history.space import Space
from watchdesk_collector.history.steps import Steps
from watchdesk_collector.history.store import Store
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Host

log = logging.getLogger(__name__)

OLDEST_BATCH = "SELECT epoch_us(min(ts)) FROM {table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """What every opening of the same history shares; `schemas` and `leaving` outlive a failed instance."""

    space: Space
    config: HistoryConfig
    builtin: Sequence[Measurement]
    hosts: Callable[[], Sequence[Host]]
    attendance: Callable[[], Attendance]
    clock: Clock
    metrics: Metrics
    steps: Steps
    schemas: dict[int, Measurement]
    leaving: Leaving

    def open(self) -> tuple[Store, Recovery]:
        """**Errors**: HistoryLocked, HistoryUnusable, HistoryFull."""
        self.space.root.mkdir(parents=True, exist_ok=True)
        aside = self.space.root / set_aside.FOLDER / f"{self.clock.now():%Y%m%dT%H%M%S.%fZ}"
        parquet_aside = self._set_aside_unknown_files(aside)
        instance, unreplayed = open_instance(self.space.database, self.config, aside=aside)
        try:
            store, conflicts, orphans = self._load(instance)
        except BaseException:
            instance.close()
            raise
        set_aside.forget_old(self.space.root)
        return store, Recovery(
            unreplayed=unreplayed,
            parquet_set_aside=parquet_aside,
            orphans_removed=orphans,
            hot_rows=store.hot.rows(),
            conflicts=conflicts,
        )

    def _set_aside_unknown_files(self, aside: Path) -> Path | None:
        """Without its database nobody knows which files are whole and which were replaced; deleting them all as orphans would be worse."""
        if self.space.database.exists() or not parquet.has_files(self.space.root):
            return None
        aside.mkdir(parents=True)
        (self.space.root / parquet.FOLDER).rename(aside / parquet.FOLDER)
        log.error("%s is missing: the files below %s are moved to %s", self.space.database, parquet.FOLDER, aside)
        return aside / parquet.FOLDER

    def _load(self, instance: Instance) -> tuple[Store, Sequence[str], int]:
        with transaction(instance.writer):
            for create in (catalogue.CREATE_DECLARED, manifest.CREATE, ledger.CREATE, positions.CREATE):
                instance.writer.execute(create)
        store = self._store(instance, self._hot(instance))
        conflicts = [reason for measurement in (BATCH, *self.builtin) if (reason := store.adopt(measurement))]
        store.note_known()
        store.ledger.read(instance.writer, store.hot.generations)
        store.positions.read(instance.writer, store.hot.generations_with(positions.LOG_POSITION.name))
        store.generation_started_s = self._started_s(instance.writer, store.hot.current)
        return store, conflicts, self._settle(store)

    def _hot(self, instance: Instance) -> Hot:
        hot = Hot.read(instance.writer)
        with transaction(instance.writer):
            hot.begin_first(instance.writer)
        hot.note_begun_first()
        return hot

    def _store(self, instance: Instance, hot: Hot) -> Store:
        files, of_batches = manifest.read(instance.writer), Ledger()
        return Store(
            config=self.config,
            clock=self.clock,
            metrics=self.metrics,
            steps=self.steps,
            space=self.space,
            instance=instance,
            hot=hot,
            ledger=of_batches,
            positions=LogPositions(),
            reader=Reader(
                instance=instance,
                root=self.space.root,
                measurements=hot.measurements,
                ledger=of_batches,
                list_hosts=self.hosts,
                attendance=self.attendance,
            ),
            leaving=self.leaving,
            schemas=self.schemas,
            numbers=numbers_from([*hot.generations, *(file.generation for file in files)]),
            generation_started_s=self.clock.monotonic_s(),
        )

    def _started_s(self, cursor: duckdb.DuckDBPyConnection, current: int) -> float:
        """When the current generation got its first batch, on the monotonic clock."""
        ((oldest_us,),) = cursor.execute(OLDEST_BATCH.format(table=generation.table(BATCH.name, current))).fetchall()
        age_s = 0.0 if oldest_us is None else max(0.0, (to_us(self.clock.now()) - oldest_us) / 1e6)
        return self.clock.monotonic_s() - age_s

    def _settle(self, store: Store) -> int:
        """Checkpoint what was replayed and remove orphans; on a full disk both wait for the next start."""
        try:
            is_certain = store.checkpoint()
        except HistoryFull as error:
            log.error("history is open, but its write-ahead log cannot be folded in yet: %s", error)
            is_certain = False
        if not is_certain:
            return 0
        known = {self.space.root / file.path for file in manifest.read(store.instance.writer)}
        return parquet.remove_orphans(self.space.root, known | self.leaving.paths())
