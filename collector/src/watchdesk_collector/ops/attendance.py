"""What agents say of what they sample and what they have not sent, and when the collector itself ran.

Before it: `ingest`, which hears it in a Hello and in declarations. After it: history, by way of `read`. Kept in memory; `note_alive` writes cadences
to ops.db, and what a crash loses an agent says again when it connects again. Backlogs are not written: an agent knows better each time it connects.
Invariant: a host has at most one cadence per measurement that has not ended.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

import sqlalchemy as sa

from watchdesk_collector.attendance import Attendance, Backlog, Cadence, Downtime
from watchdesk_collector.clock import Clock, to_us
from watchdesk_collector.ops.schema import cadence as cadence_table
from watchdesk_collector.ops.schema import collector_run

KEPT_RUNS = 1000
_NEWEST_RUN = sa.select(sa.func.max(collector_run.c.id)).scalar_subquery()

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """What an agent says of one of its samplers; slots are multiples of the interval."""

    measurement: str
    interval_us: int
    since_us: int


class AttendanceBook:
    """Any thread may call; `begin` and `note_alive` touch the disk."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._ended: list[Cadence] = []
        self._current: dict[int, dict[str, Cadence]] = {}
        self._unsaved: set[int] = set()
        self._backlogs: dict[int, Sequence[Backlog]] = {}
        self._downtimes: Sequence[Downtime] = ()
        self._load()

    def begin(self) -> None:
        """The collector runs from now on."""
        now_us = to_us(self._clock.now())
        with _despite_a_full_disk(), self._engine.begin() as connection:
            connection.execute(sa.insert(collector_run).values(started_at_us=now_us, alive_at_us=now_us))
            connection.execute(sa.delete(collector_run).where(collector_run.c.id <= _NEWEST_RUN - KEPT_RUNS))
        with self._engine.connect() as connection:
            runs = connection.execute(sa.select(collector_run).order_by(collector_run.c.id)).all()
        downtimes = [Downtime(since_us=run.alive_at_us, until_us=following.started_at_us) for run, following in pairwise(runs)]
        self._downtimes = [downtime for downtime in downtimes if downtime.since_us < downtime.until_us]

    def note_alive(self) -> None:
        """It still does; what agents said meanwhile is written with it."""
        now_us = to_us(self._clock.now())
        with _despite_a_full_disk():
            with self._engine.begin() as connection:
                connection.execute(sa.update(collector_run).where(collector_run.c.id == _NEWEST_RUN).values(alive_at_us=now_us))
            self._save_cadences()

    def introduce(self, host_id: int, samplers: Iterable[Sampler], backlogs: Sequence[Backlog]) -> None:
        """An agent has connected: it samples these and nothing else, and has these batches to send."""
        now_us = to_us(self._clock.now())
        with self._lock:
            self._backlogs[host_id] = backlogs
            known = self._current.get(host_id, {})
            told = {sampler.measurement: self._continued(known.get(sampler.measurement), host_id, sampler) for sampler in samplers}
            self._ended += [replace(cadence, until_us=now_us) for name, cadence in known.items() if name not in told]
            if told != known:
                self._current[host_id] = told
                self._unsaved.add(host_id)

    def prove(self, host_id: int, measurement: str) -> None:
        """The host has told something of a measurement."""
        with self._lock:
            cadence = self._current.get(host_id, {}).get(measurement)
            if cadence is not None and not cadence.is_proven:
                self._current[host_id][measurement] = replace(cadence, is_proven=True)
                self._unsaved.add(host_id)

    def read(self) -> Attendance:
        """As of now."""
        with self._lock:
            current = [cadence for cadences in self._current.values() for cadence in cadences.values()]
            return Attendance(
                now_us=to_us(self._clock.now()),
                cadences=[*self._ended, *current],
                backlogs=[backlog for backlogs in self._backlogs.values() for backlog in backlogs],
                downtimes=self._downtimes,
            )

    def _save_cadences(self) -> None:
        with self._lock:
            unsaved, self._unsaved = self._unsaved, set()
            rows = [_to_row(one) for one in self._ended if one.host_id in unsaved]
            rows += [_to_row(one) for host_id in unsaved for one in self._current[host_id].values()]
        try:
            self._replace(unsaved, rows)
        except sa.exc.OperationalError:
            with self._lock:
                self._unsaved |= unsaved
            raise

    def _replace(self, host_ids: Collection[int], rows: Sequence[dict[str, object]]) -> None:
        if not host_ids:
            return
        with self._engine.begin() as connection:
            connection.execute(sa.delete(cadence_table).where(cadence_table.c.host_id == sa.bindparam("id")), [{"id": one} for one in host_ids])
            if rows:
                connection.execute(sa.insert(cadence_table), rows)

    def _continued(self, known: Cadence | None, host_id: int, sampler: Sampler) -> Cadence:
        if known is not None and known.interval_us == sampler.interval_us:
            return known if known.is_proven else replace(known, since_us=sampler.since_us)
        if known is not None:
            self._ended.append(replace(known, until_us=max(known.since_us, sampler.since_us)))
        return Cadence(
            host_id=host_id,
            measurement=sampler.measurement,
            interval_us=sampler.interval_us,
            since_us=sampler.since_us,
            is_proven=known is not None and known.is_proven,
        )

    def _load(self) -> None:
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(cadence_table).order_by(cadence_table.c.since_us)).mappings().all()
        for row in rows:
            cadence = _from_row(row)
            if cadence.until_us is None:
                self._current.setdefault(cadence.host_id, {})[cadence.measurement] = cadence
            else:
                self._ended.append(cadence)


@contextmanager
def _despite_a_full_disk() -> Iterator[None]:
    """It costs only how exactly a crash is dated, and what agents say again."""
    try:
        yield
    except sa.exc.OperationalError as error:
        log.error("ops.db cannot be written, what agents sample is written later: %s", error.orig)


def _to_row(cadence: Cadence) -> dict[str, object]:
    return {
        "host_id": cadence.host_id,
        "measurement": cadence.measurement,
        "interval_us": cadence.interval_us,
        "since_us": cadence.since_us,
        "until_us": cadence.until_us,
        "is_proven": cadence.is_proven,
    }


def _from_row(row: Mapping[str, object] | sa.RowMapping) -> Cadence:
    return Cadence(**{str(name): value for name, value in row.items() if name != "id"})  # type: ignore[arg-type]  # its columns are the fields
