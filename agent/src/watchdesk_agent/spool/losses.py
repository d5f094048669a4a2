"""What the spool could not keep: counted exactly, told in sentences that name the remedy, and not more often than a reader can bear."""

import logging
from pathlib import Path

from watchdesk_agent.clock import Clock
from watchdesk_agent.model import Cause

log = logging.getLogger(__name__)

TELL_EVERY_S = 600.0

REASONS = {  # of a hole → what its slots are missing for, and more words
    "spool_overflow": (Cause.SPOOL_OVERFLOW, "spool.max_bytes was reached"),
    "spool_age": (Cause.SPOOL_OVERFLOW, "spool.max_age was reached"),
    "disk_full": (Cause.SPOOL_OVERFLOW, "the spool's disk was full"),
    "too_large": (Cause.REJECTED, "the batch was larger than the collector takes"),
}


class Losses:
    """Counts since the agent started. `dropped` batches are gone; `at_risk` ones are at the collector, but not yet checkpointed there."""

    def __init__(self, *, path: Path, max_bytes: int, clock: Clock) -> None:
        self.dropped = 0
        self.at_risk = 0
        self._path = path
        self._max_mib = max_bytes / 2**20
        self._clock = clock
        self._untold: dict[str, int] = {}
        self._next_telling_s: dict[str, float] = {}
        self._lost_to_full_disk = 0

    def note_drops(self, batches: int, *, reason: str) -> None:
        """Unsent batches were dropped for `spool_overflow`, `spool_age` or `too_large`."""
        self.dropped += batches
        sentences = {
            "spool_overflow": f"the spool is full ({self._max_mib:g} MiB): dropped the %d oldest batches; raise spool.max_bytes or check the uplink",
            "spool_age": "dropped %d batches that were older than spool.max_age before they could be sent; raise it or check the uplink",
            "too_large": "dropped %d batches that are larger than the collector takes; raise ingest.max_batch_bytes there",
        }
        self._tell(sentences[reason], batches)

    def note_at_risk(self, batches: int) -> None:
        """Batches that the collector has stored, and not yet checkpointed, were dropped."""
        self.at_risk += batches
        self._tell(
            "dropped %d batches that the collector holds and has not checkpointed: a crash there can lose them; raise spool.max_bytes", batches
        )

    def note_full_disk(self, batches: int, error: Exception) -> None:
        """New batches could not be written."""
        self.dropped += batches
        if not self._lost_to_full_disk:
            log.error("cannot write the spool %s (%s): new samples are dropped and counted until there is space; make room there", self._path, error)
        self._lost_to_full_disk += batches

    def note_written(self) -> None:
        """New batches could be written."""
        if self._lost_to_full_disk:
            log.warning("the spool %s can be written again; %d batches were dropped meanwhile", self._path, self._lost_to_full_disk)
            self._lost_to_full_disk = 0

    def _tell(self, sentence: str, batches: int) -> None:
        self._untold[sentence] = self._untold.get(sentence, 0) + batches
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_telling_s.get(sentence, 0.0):
            log.warning(sentence, self._untold.pop(sentence))
            self._next_telling_s[sentence] = now_s + TELL_EVERY_S
