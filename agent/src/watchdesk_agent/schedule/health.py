"""How each sampler fares: written by `schedule` as samplers run, read once per row of `agent_sampler`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from watchdesk_agent.model import Row


@dataclass(slots=True)
class _Record:
    """Totals since the start; the other fields since the previous row."""

    runs: int = 0
    failures: int = 0
    missed_slots: int = 0
    is_stale: bool = False
    succeeded: bool | None = None
    duration_s: float | None = None
    lateness_s: float | None = None
    error: str | None = None


class Health:
    """One record per sampler; any thread may write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, _Record] = {}

    def note_run(self, sampler: str, *, duration_s: float, lateness_s: float, error: str | None) -> None:
        """A run came back, with an error or without."""
        with self._lock:
            record = self._of(sampler)
            record.runs += 1
            record.failures += error is not None
            record.succeeded = error is None and record.succeeded is not False
            record.duration_s = max(duration_s, record.duration_s or 0.0)
            record.lateness_s = max(lateness_s, record.lateness_s or 0.0)
            record.error = error or record.error

    def note_missed(self, sampler: str, slots: int) -> None:
        with self._lock:
            self._of(sampler).missed_slots += slots

    def note_stale(self, sampler: str, *, is_stale: bool) -> None:
        """Whether a run has outlasted its slot and has not come back."""
        with self._lock:
            self._of(sampler).is_stale = is_stale

    def take_rows(self) -> Sequence[Row]:
        """A row of `agent_sampler` per sampler; what is told per row starts anew."""
        with self._lock:
            rows = [_row(name, record) for name, record in self._records.items()]
            for record in self._records.values():
                record.succeeded = record.duration_s = record.lateness_s = record.error = None
            return rows

    def _of(self, sampler: str) -> _Record:
        return self._records.setdefault(sampler, _Record())


def _row(name: str, record: _Record) -> Row:
    success = None if record.succeeded is None else int(record.succeeded)
    recent = (success, int(record.is_stale), record.duration_s, record.lateness_s)
    return (name, *recent, record.runs, record.failures, record.missed_slots, record.error)
