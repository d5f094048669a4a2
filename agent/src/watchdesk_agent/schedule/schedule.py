"""When samplers run: at slots aligned to UTC, driven by the monotonic clock.

Before it: the clocks. After it: `deliver`, which gets the rows of each slot. Invariant: each slot of each sampler is delivered once, or recorded as
missed with its cause; none is silently late, and none is taken twice when the wall clock is set back by less than `HOLD_US`.

Light samplers run one after another on the thread that calls `run`; samplers that may block have a thread each, with one interval as their time box.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watchdesk_agent.clock import Clock
from watchdesk_agent.model import Cause, Sampler, Samples
from watchdesk_agent.schedule.attempt import Attempts
from watchdesk_agent.schedule.gaps import Gaps
from watchdesk_agent.schedule.health import Health
from watchdesk_agent.schedule.stretch import Cadence
from watchdesk_agent.schedule.timeline import Shift, Timeline
from watchdesk_agent.schedule.worker import Worker

log = logging.getLogger(__name__)

HOLD_US = 10_000_000  # set back by less: wait for the clock to come to new slots; by more: take slots again rather than fall silent
CLOSE_WITHIN_S = 0.2


@dataclass(slots=True)
class _Track:
    """One sampler and its next slot."""

    sampler: Sampler
    interval_us: int
    due_us: int
    worker: Worker | None = None


class Schedule:
    """See the module. `interval_s` says how often a sampler runs."""

    def __init__(
        self,
        samplers: Sequence[Sampler],
        *,
        interval_s: Callable[[Sampler], float],
        clock: Clock,
        health: Health,
        deliver: Callable[[Samples], None],
    ) -> None:
        self._timeline = Timeline(clock)
        self._health = health
        self._gaps = Gaps(health=health, deliver=deliver)
        self._attempts = Attempts(clock=clock, timeline=self._timeline, health=health, gaps=self._gaps, deliver=deliver)
        self._tracks = [self._track(sampler, round(interval_s(sampler) * 1e6)) for sampler in samplers]

    def cadences(self) -> list[Cadence]:
        """What will be served, and from which slot on, as of before the first tick."""
        return [Cadence(sampler=track.sampler.name, interval_us=track.interval_us, first_us=track.due_us) for track in self._tracks]

    def run(self, stop: threading.Event) -> None:
        """Serve slots until told to stop."""
        while not stop.wait(self.delay_s()):
            self.tick()

    def delay_s(self) -> float:
        """Seconds until the next slot; 0 when one is due."""
        next_us = min(track.due_us for track in self._tracks)
        return max(0.0, (next_us - self._timeline.now_us()) / 1e6)

    def overdue_s(self) -> float:
        """Seconds that the next slot has been due for."""
        next_us = min(track.due_us for track in self._tracks)
        return max(0.0, (self._timeline.now_us() - next_us) / 1e6)

    def tick(self) -> None:
        """Serve what is due."""
        cause = Cause.OVERLOAD
        if shift := self._timeline.realign():
            cause = shift.cause
            self._follow(shift)
        for track in self._tracks:
            now_us = self._timeline.now_us()
            if track.due_us <= now_us:
                self._serve(track, now_us - now_us % track.interval_us, cause)

    def close(self) -> None:
        """End the workers and tell the gaps that are still open."""
        for track in self._tracks:
            if track.worker is not None:
                track.worker.close(CLOSE_WITHIN_S)
        self._gaps.end_all()

    def _track(self, sampler: Sampler, interval_us: int) -> _Track:
        def settle(sampler: Sampler, slot_us: int, samples: Samples | None) -> None:
            self._attempts.settle(sampler, slot_us, samples, interval_us=interval_us)

        worker = Worker(sampler, run=self._attempts.run, settle=settle) if sampler.may_block else None
        return _Track(sampler, interval_us, _slot_after(self._timeline.now_us(), interval_us), worker)

    def _follow(self, shift: Shift) -> None:
        if shift.cause is Cause.SUSPEND:
            log.info("the host slept for %.1f s", shift.seconds)
        else:
            log.warning("the wall clock was set by %+.3f s; slots follow it", shift.seconds)
        now_us = self._timeline.now_us()
        for track in self._tracks:
            if track.due_us - now_us > track.interval_us + HOLD_US:
                track.due_us = _slot_after(now_us, track.interval_us)

    def _serve(self, track: _Track, slot_us: int, cause: Cause) -> None:
        if skipped := (slot_us - track.due_us) // track.interval_us:
            self._miss(track, track.due_us, skipped, cause)
        track.due_us = slot_us + track.interval_us
        if track.worker is not None:
            self._offer(track, track.worker, slot_us)
        else:
            samples = self._attempts.run(track.sampler, slot_us)
            self._attempts.settle(track.sampler, slot_us, samples, interval_us=track.interval_us)

    def _offer(self, track: _Track, worker: Worker, slot_us: int) -> None:
        is_stale = not worker.offer(slot_us)
        self._health.note_stale(track.sampler.name, is_stale=is_stale)
        if not is_stale:
            return
        abandoned_us = worker.abandon()
        if abandoned_us is not None:
            log.warning("sampler %s has not come back within %g s: it is stale", track.sampler.name, track.interval_us / 1e6)
            self._miss(track, abandoned_us, 1, Cause.STALE)
        self._miss(track, slot_us, 1, Cause.STALE)

    def _miss(self, track: _Track, first_us: int, slots: int, cause: Cause) -> None:
        self._gaps.note(track.sampler.name, first_us, slots=slots, interval_us=track.interval_us, cause=cause)


def _slot_after(now_us: int, interval_us: int) -> int:
    return now_us - now_us % interval_us + interval_us
