"""From rows to the spool: what samplers and probes delivered since the last flush, and what the logs have to say, become batches on disk.

Before it: `schedule`, probes and log readers. After it: `spool`. Invariant: log positions are written in the transaction of the batch that holds the
lines; while the disk is full no log is read, and what was read last is read again, so that lines wait in their file.

The flush interval is apart from the sampling interval, and its phase differs from host to host, so that a fleet does not send all at once.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from watchdesk_proto.catalogue import Measurement

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.logs.measurements import LOG
from watchdesk_agent.model import Samples, TimedRow
from watchdesk_agent.spool import Spool
from watchdesk_agent.wire import encode_batches, encode_declaration

log = logging.getLogger(__name__)

MAX_WAITING_ROWS = 50_000  # some 25 MB; reached only when the spool's disk hangs
MAX_LOG_BYTES = 512 * 1024


class LogChunk(Protocol):
    """What logs had to say, and how far they are read once that is kept."""

    @property
    def rows(self) -> Sequence[TimedRow]: ...

    @property
    def positions(self) -> Mapping[str, str]: ...

    @property
    def has_more(self) -> bool: ...


class LogReader(Protocol):
    """Reads on from where it stopped, or from the positions it is given when what it read could not be kept."""

    def poll(self, *, now_us: int, limit_bytes: int) -> LogChunk: ...

    def restart(self, positions: Mapping[str, str]) -> None: ...


class Flush:
    """See the module. `phase` is this host's place within the interval, 0 to 1."""

    def __init__(
        self,
        *,
        spool: Spool,
        logs: LogReader | None,
        clock: Clock,
        interval_s: float,
        phase: float,
        max_batch_bytes: Callable[[], int],
        on_spooled: Callable[[], None],
    ) -> None:
        self._spool = spool
        self._logs = logs
        self._clock = clock
        self._interval_s = interval_s
        self._phase_s = phase * interval_s
        self._max_batch_bytes = max_batch_bytes
        self._on_spooled = on_spooled
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Measurement, list[TimedRow]]] = {}
        self._waiting_rows = 0
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
                self._drop(len(samples.rows))
                return
            self._waiting_rows += len(samples.rows)
            _, rows = self._waiting.setdefault(samples.measurement.name, (samples.measurement, []))
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
        lines, positions = self._read_logs()
        collected = [*self._take(), *lines]
        payloads = encode_batches(collected, max_bytes=self._max_batch_bytes())
        if payloads or positions:
            self._keep(payloads, {samples.measurement.name: samples.measurement for samples in collected}, positions)

    def _keep(self, payloads: Sequence[bytes], measurements: Mapping[str, Measurement], positions: Mapping[str, str]) -> None:
        fresh = [measurement for name, measurement in measurements.items() if name not in self._declared]
        declarations = {measurement.schema_id: encode_declaration(measurement) for measurement in fresh}
        if self._spool.append(payloads, declarations=declarations, positions=positions):
            self._is_disk_full = False
            self._declared.update(measurements)
            self._on_spooled()
        else:
            self._is_disk_full = True
            if self._logs is not None and positions:
                self._logs.restart(self._spool.positions())

    def _take(self) -> list[Samples]:
        with self._lock:
            waiting, self._waiting, self._waiting_rows = self._waiting, {}, 0
        return [Samples(measurement, rows) for measurement, rows in waiting.values()]

    def _read_logs(self) -> tuple[list[Samples], Mapping[str, str]]:
        self._logs_have_more = False
        if self._logs is None or self._is_disk_full:
            return [], {}
        chunk = self._logs.poll(now_us=to_us(self._clock.now()), limit_bytes=MAX_LOG_BYTES)
        self._logs_have_more = chunk.has_more
        self.rows_taken += len(chunk.rows)
        return [Samples(LOG, chunk.rows)], chunk.positions

    def _drop(self, rows: int) -> None:
        if not self.rows_dropped:
            log.error("the spool's disk does not answer: new samples are dropped and counted (dropped_rows_total)")
        self.rows_dropped += rows
