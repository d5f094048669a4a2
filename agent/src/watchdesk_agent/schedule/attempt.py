"""One run of one sampler for one slot: timed, checked, and never more than a failed run, whatever the sampler does."""

import logging
from collections.abc import Callable
from dataclasses import replace

from watchdesk_agent.clock import Clock
from watchdesk_agent.model import Cause, Instant, Sampler, Samples, check_rows
from watchdesk_agent.schedule.gaps import Gaps
from watchdesk_agent.schedule.health import Health
from watchdesk_agent.schedule.timeline import Timeline

log = logging.getLogger(__name__)


class Attempts:
    """Runs samplers, and notes in `health` and `gaps` how it went. Any thread may run one, each sampler one at a time."""

    def __init__(self, *, clock: Clock, timeline: Timeline, health: Health, gaps: Gaps, deliver: Callable[[Samples], None]) -> None:
        self._clock = clock
        self._timeline = timeline
        self._health = health
        self._gaps = gaps
        self._deliver = deliver
        self._failing: set[str] = set()
        self._delivered: set[str] = set()

    def run(self, sampler: Sampler, slot_us: int) -> Samples | None:
        """The rows of one slot; None when the sampler failed, which is logged when it begins and when it ends."""
        started_s = self._clock.monotonic_s()
        lateness_s = max(0.0, (self._timeline.now_us() - slot_us) / 1e6)
        outcome = _sample(sampler, Instant(slot_us, started_s))
        error = _describe(outcome) if isinstance(outcome, Exception) else None
        self._health.note_run(sampler.name, duration_s=self._clock.monotonic_s() - started_s, lateness_s=lateness_s, error=error)
        self._tell(sampler.name, error, outcome)
        return outcome if isinstance(outcome, Samples) else None

    def settle(self, sampler: Sampler, slot_us: int, samples: Samples | None, *, interval_us: int) -> None:
        """Hand on what a run gave, or note the slot as missed. A host that never had a thing (a disk, PSI) does not miss it."""
        if samples is None:
            self._gaps.note(sampler.name, slot_us, slots=1, interval_us=interval_us, cause=Cause.FAILURE)
        elif samples.rows:
            self._delivered.add(sampler.name)
            self._gaps.end(sampler.name)
            self._deliver(replace(samples, interval_us=interval_us))
        elif sampler.name in self._delivered:
            self._gaps.note(sampler.name, slot_us, slots=1, interval_us=interval_us, cause=Cause.ABSENT)

    def _tell(self, sampler: str, error: str | None, outcome: Samples | Exception) -> None:
        if error is None and sampler in self._failing:
            self._failing.remove(sampler)
            log.info("sampler %s works again", sampler)
        elif error is not None and sampler not in self._failing:
            self._failing.add(sampler)
            bug = None if isinstance(outcome, OSError | Samples) else outcome
            log.warning("sampler %s fails, its slots are recorded as missed: %s", sampler, error, exc_info=bug)


def _sample(sampler: Sampler, at: Instant) -> Samples | Exception:
    try:
        rows = sampler.sample(at)
        check_rows(sampler.measurement, rows)
    except Exception as error:
        return error
    return Samples(sampler.measurement, [(at.slot_us, row) for row in rows])


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
