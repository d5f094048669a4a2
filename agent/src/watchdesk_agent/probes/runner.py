"""Runs the probes: starts each attempt at its slot, on a thread of its own, and hands on its row.

Before it: the agenda. After it: whoever was given to `start`, which spools the rows. Invariant: a probe has at most one attempt under way, so
there are never more threads than probes, and a target that hangs costs only itself.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.model import TimedRow
from watchdesk_agent.probes import KINDS
from watchdesk_agent.probes.agenda import Agenda, Due
from watchdesk_agent.probes.attempt import Attempt, Outcome, ProbeFailure, Prober, measure_probe
from watchdesk_agent.probes.config import ProbeConfig

logger = logging.getLogger(__name__)

OnRow: TypeAlias = Callable[[TimedRow], None]

_LONGEST_WAIT_S = 5.0  # how soon a clock that was set, or a host that woke up, is noticed


class ProbeRunner:
    """See the module. Without probes it does nothing and has no thread."""

    def __init__(self, *, probes: Sequence[ProbeConfig], clock: Clock, probers: Mapping[str, Prober] | None = None) -> None:
        """`probers`, by the probes' names, stand in for those that `KINDS` would make."""
        self._probes = tuple(probes)
        self._clock = clock
        self._probers = {probe.name: KINDS[probe.kind](probe) for probe in probes} | dict(probers or {})
        self._under_way: dict[str, int] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, on_row: OnRow) -> None:
        """Begin. `on_row` gets rows of the measurement `probe` from the attempts' threads, one call at a time."""
        if self._probes:
            self._thread = threading.Thread(target=self._run, args=(on_row,), name="probes", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Start nothing more and drop what is under way: no row comes after this returns. Does not wait for targets."""
        with self._lock:
            self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, on_row: OnRow) -> None:
        agenda = Agenda(self._probes, now_us=self._now_us())
        while not self._stopping.is_set():
            for due in agenda.take_due(self._now_us()):
                self._begin(due, on_row)
            self._stopping.wait(min(_LONGEST_WAIT_S, (agenda.wait_us(self._now_us()) or 0) / 1_000_000))

    def _begin(self, due: Due, on_row: OnRow) -> None:
        with self._lock:
            hanging_since_us = self._under_way.setdefault(due.probe.name, due.slot_us)
        if hanging_since_us != due.slot_us:
            self._hand_on(due, _overrun(due, hanging_since_us), on_row)
            return
        threading.Thread(target=self._attempt, args=(due, on_row), name=f"probe {due.probe.name}", daemon=True).start()

    def _attempt(self, due: Due, on_row: OnRow) -> None:
        try:
            outcome = run_attempt(self._probers[due.probe.name], due.probe, monotonic_s=self._clock.monotonic_s)
            self._hand_on(due, outcome, on_row)
        finally:
            with self._lock:
                del self._under_way[due.probe.name]

    def _hand_on(self, due: Due, outcome: Outcome, on_row: OnRow) -> None:
        with self._lock:
            if not self._stopping.is_set():
                on_row((due.slot_us, measure_probe(due.probe, outcome)))

    def _now_us(self) -> int:
        return to_us(self._clock.now())


def run_attempt(prober: Prober, probe: ProbeConfig, *, monotonic_s: Callable[[], float]) -> Outcome:
    """Try once, in this thread. Whatever a target answers, it cannot do more than fail its probe: a crash would let it stop the agent."""
    attempt = Attempt(timeout_s=probe.timeout, monotonic_s=monotonic_s)
    try:
        prober.attempt(attempt)
    except ProbeFailure as failure:
        return attempt.outcome(str(failure))
    except Exception as error:
        logger.exception("probe %s met a defect of the agent", probe.name)
        return attempt.outcome(f"a defect of the agent: {type(error).__name__}: {error}")
    return attempt.outcome(None)


def _overrun(due: Due, since_us: int) -> Outcome:
    """Only a resolver can hold up an attempt beyond its time; the slot is a failure all the same."""
    since = datetime.fromtimestamp(since_us / 1_000_000, UTC)
    return Outcome(error=f"the attempt of {since:%H:%M:%S} UTC still hangs", duration_s=(due.slot_us - since_us) / 1_000_000)
