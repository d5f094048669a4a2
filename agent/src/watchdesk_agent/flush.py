"""From rows to the spool: what samplers and probes delivered since the last flush, and what the logs have to say, become batches on disk.

Before it: `schedule`, probes and `log_tail`. After it: `spool`. Invariant: log positions are written in the transaction of the batch that holds the
lines; while the disk is full no log is read, and what was read last is read again, so that lines wait in their file.

The flush interval is apart from the sampling interval, and its phase differs from host to host, so that a fleet does not send all at once.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from watchdesk_agent.clock import Clock
from watchdesk_agent.log_tail import NOTHING, Lines, LogTail
from watchdesk_agent.model import Cause, Samples, TimedRow
from watchdesk_agent.schedule import Stretch, blame, join, missed_samples, stretches_of
from watchdesk_agent.spool import Spool, TheirPositions
from watchdesk_agent.wire import Encoded, encode_batches, encode_declaration

log = logging.getLogger(__name__)

MAX_WAITING_ROWS = 50_000  # some 25 MB; reached only when the spool's disk hangs
DROPPED_BECAUSE = "the spool's disk did not answer"


class Flush:
    """See the module. `phase` is this host's place within the interval, 0 to 1."""

    def __init__(
        self,
        *,
        spool: Spool,
        logs: LogTail | None,
        clock: Clock,
        interval_s: float,
        phase: float,
        max_batch_bytes: Callable[[], int],
        is_connected: Callable[[], bool],
        on_spooled: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._logs = logs
        self._clock = clock
        self._interval_s = interval_s
        self._phase_s = phase * interval_s
        self._max_batch_bytes = max_batch_bytes
        self._is_connected = is_connected
        self._on_spooled = on_spooled
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # held from reading logs until their lines are spooled
        self._waiting: dict[str, tuple[Samples, list[TimedRow]]] = {}
        self._waiting_rows = 0
        self._lost: list[Stretch] = []
        self._declared: set[str] = set()
        self._is_disk_full = False
        self._logs_have_more = False
        self.rows_taken = 0
        self.rows_dropped = 0

    def add(self, samples: Samples) -> None:
        """Keep rows in memory until the next flush; beyond `MAX_WAITING_ROWS` they are dropped and counted."""
        with self._lock:
            self.rows_taken += len(samples.rows)
            if self._waiting_rows + len(samples.rows) > MAX_WAITING_ROWS:
                self._drop(samples)
                return
            self._waiting_rows += len(samples.rows)
            _, rows = self._waiting.setdefault(samples.measurement.name, (samples, []))
            rows.extend(samples.rows)

    def run(self, stop: threading.Event) -> None:
        """Flush at every interval until told to stop."""
        while not stop.wait(self.delay_s()):
            self.flush()
            while self._logs_have_more and not stop.is_set():
                self.flush()

    def delay_s(self) -> float:
        """Seconds until the next flush."""
        return self._interval_s - (self._clock.monotonic_s() - self._phase_s) % self._interval_s

    def flush(self) -> None:
        """Make what waits durable."""
        with self._turn:
            lines = self._read_logs()
            taken, lost = self._take()
            batches = encode_batches([*taken, *self._take_lost()], max_bytes=self._max_batch_bytes())
            if batches or lost or lines.batches or lines.positions:
                self._keep(batches, lost, lines)

    def compare(self, theirs: TheirPositions | None) -> None:
        """The collector has said which log positions it holds. **Errors**: as `LogTail.compare`."""
        with self._turn:
            if self._logs is not None:
                self._logs.compare(theirs)

    def _keep(self, batches: Sequence[Encoded], lost: Sequence[Stretch], lines: Lines) -> None:
        everything = [*batches, *lines.batches]
        measurements = {samples.measurement.name: samples.measurement for batch in everything for samples in batch.samples}
        fresh = [measurement for name, measurement in measurements.items() if name not in self._declared]
        is_kept = self._spool.append(
            [batch.payload for batch in everything],
            declarations={measurement.schema_id: encode_declaration(measurement) for measurement in fresh},
            positions=lines.positions,
            contents=[stretches_of(batch.samples) for batch in everything],
            lost=lost,
            ordered=len(lines.batches),
        )
        self._is_disk_full = not is_kept
        if is_kept:
            self._declared.update(measurements)
            self._on_spooled()
        if self._logs is not None:
            self._logs.note(lines, is_kept=is_kept)

    def _take(self) -> tuple[list[Samples], list[Stretch]]:
        with self._lock:
            waiting, self._waiting, self._waiting_rows = self._waiting, {}, 0
            lost, self._lost = self._lost, []
        return [replace(first, rows=rows) for first, rows in waiting.values()], lost

    def _take_lost(self) -> list[Samples]:
        """What is lost is told once there is somebody to tell: until then one stretch grows, instead of many being spooled and lost again."""
        return [missed_samples(self._spool.take_lost())] if self._is_connected() else []

    def _read_logs(self) -> Lines:
        self._logs_have_more = False
        if self._logs is None or self._is_disk_full:
            return NOTHING
        lines = self._logs.read(max_bytes=self._max_batch_bytes())
        self._logs_have_more = lines.has_more
        self.rows_taken += lines.rows
        return lines

    def _drop(self, samples: Samples) -> None:
        if not self.rows_dropped:
            log.error("the spool's disk does not answer: new samples are dropped and counted (dropped_rows_total)")
        self.rows_dropped += len(samples.rows)
        self._lost = join([*self._lost, *blame(stretches_of([samples]), Cause.SPOOL_OVERFLOW, DROPPED_BECAUSE)])
