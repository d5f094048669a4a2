"""Evaluates the rules: reads what is new since each rule's cursor, steps, and records everything that follows in one transaction.

Before it on the pipe: `history`. After it: `dispatch`, called inside the transaction. Invariant: cursors, alerts, transitions, incidents, events and
messages of an evaluation are written together or not at all, so a restart repeats nothing and loses nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from watchdesk_collector.alerting import store
from watchdesk_collector.alerting.config import AlertingConfig
from watchdesk_collector.alerting.reading import Reader, Span, read_samples, shifts_us
from watchdesk_collector.alerting.rules import Condition, Rule
from watchdesk_collector.alerting.silent import silence_samples
from watchdesk_collector.alerting.step import Presence, Reason, RuleState, SeriesState, Timing, Transition, resolve_all, step
from watchdesk_collector.clock import Clock, to_us
from watchdesk_collector.history import HistoryError
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Host
from watchdesk_collector.ops.database import writing

LONGEST_CATCH_UP_US = 3600 * 1_000_000  # after a longer downtime, what lies further back is left to people who ask history
FURTHEST_AHEAD_US = 300 * 1_000_000  # a cursor beyond this was written under a clock that was wrong
SHORTEST_PAUSE_S = 30.0  # a hole between evaluations, beside their interval, in which the collector did not run
SPAN_US = 600 * 1_000_000  # how much is read at a time while catching up

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A transition and the name of its rule."""

    rule: str
    transition: Transition


class Dispatcher(Protocol):
    """What comes after: it decides who is told of the changes, and writes that with the given connection."""

    def dispatch(self, connection: sa.Connection, changes: Sequence[Change], at: datetime) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What came of one rule in one evaluation."""

    rule: str
    before: Mapping[str, SeriesState]
    after: RuleState
    transitions: Sequence[Transition]


class AlertEngine:
    """One per collector. `evaluate_once` blocks, and is called from one thread at a time."""

    def __init__(
        self,
        *,
        history: Reader,
        hosts: Callable[[], Sequence[Host]],
        engine: sa.Engine,
        rules: Sequence[Rule],
        dispatcher: Dispatcher,
        config: AlertingConfig,
        clock: Clock,
        metrics: Metrics,
        started_at: datetime,
    ) -> None:
        self._history = history
        self._hosts = hosts
        self._engine = engine
        self._rules = rules
        self._dispatcher = dispatcher
        self._config = config
        self._clock = clock
        self._metrics = metrics
        self._listening_since = started_at
        self._evaluated_at = started_at

    async def run(self) -> None:
        """Evaluate until cancelled; an evaluation that has begun is finished first."""
        while True:
            evaluation = asyncio.ensure_future(asyncio.to_thread(self._evaluate_and_survive))
            try:
                await asyncio.shield(evaluation)
            except asyncio.CancelledError:
                await evaluation
                raise
            await asyncio.sleep(self._config.interval)

    def evaluate_once(self) -> Sequence[Change]:
        """Bring all rules up to now; what changed is committed on return. **Errors**: sqlalchemy's OperationalError, with nothing written."""
        now = self._clock.now()
        self._notice_pause(now)
        hosts = self._hosts()
        states = store.load(self._engine)
        outcomes = [outcome for rule in self._rules if (outcome := self._evaluate_or_skip(rule, states.get(rule.name), hosts, now))]
        orphans = self._orphans(states, now)
        changes = [Change(rule=outcome.rule, transition=transition) for outcome in (*outcomes, *orphans) for transition in outcome.transitions]
        with writing(self._engine) as connection:
            for outcome in (*outcomes, *orphans):
                store.save(
                    connection,
                    outcome.rule,
                    before=outcome.before,
                    after=outcome.after,
                    transitions=outcome.transitions,
                    at_us=to_us(now),
                )
            for orphan in orphans:
                store.forget(connection, orphan.rule)
            self._dispatcher.dispatch(connection, changes, now)
        self._evaluated_at = self._clock.now()
        return changes

    def _notice_pause(self, now: datetime) -> None:
        """A machine that was suspended, or a clock that was set forward, is a downtime: nobody was listening."""
        pause_s = (now - self._evaluated_at).total_seconds() - self._config.interval
        if pause_s > max(SHORTEST_PAUSE_S, 2 * self._config.interval):
            log.warning("nothing was evaluated for %d s: the clock was set, or the machine stood still", pause_s)
            self._listening_since = now

    def _evaluate_and_survive(self) -> None:
        with self._metrics.evaluation_seconds.time():
            try:
                self.evaluate_once()
            except sa.exc.OperationalError as error:
                self._metrics.evaluation_failures.labels(rule="").inc()
                log.error("alerts could not be recorded, and will be at the next evaluation: %s", error.orig)

    def _evaluate_or_skip(self, rule: Rule, state: RuleState | None, hosts: Sequence[Host], now: datetime) -> _Outcome | None:
        """None when history cannot be read: the cursor stays, and the next evaluation reads what this one should have."""
        try:
            return self._evaluate(rule, state, hosts, to_us(now))
        except HistoryError as error:
            self._metrics.evaluation_failures.labels(rule=rule.name).inc()
            log.error("rule %s could not be evaluated, and will be at the next evaluation: %s", rule.name, error)
            return None

    def _evaluate(self, rule: Rule, state: RuleState | None, hosts: Sequence[Host], now_us: int) -> _Outcome:
        before = _set_right(state, now_us) if state else self._first_state(rule, now_us)
        if rule.condition is None:
            after, transitions = self._step_silent(rule, before, hosts, now_us)
        else:
            after, transitions = self._step_threshold(rule, rule.condition, _caught_up(before, rule.condition, now_us), hosts, now_us)
        return _Outcome(rule=rule.name, before=before.series, after=after, transitions=transitions)

    def _step_silent(self, rule: Rule, state: RuleState, hosts: Sequence[Host], now_us: int) -> tuple[RuleState, Sequence[Transition]]:
        samples = silence_samples(hosts, silent_for_us=rule.silent_for_us, now_us=now_us, listening_since=self._listening_since)
        return step(_timing(rule), state, samples, until_us=now_us, presence=self._presence(hosts))

    def _step_threshold(
        self, rule: Rule, condition: Condition, state: RuleState, hosts: Sequence[Host], now_us: int
    ) -> tuple[RuleState, Sequence[Transition]]:
        shifts, presence, found = shifts_us(hosts), self._presence(hosts), list[Transition]()
        for until_us in _ends(state.cursor_us, self._until_us(condition, now_us), condition.over_us or 1):
            span = Span(after_us=state.cursor_us, until_us=until_us)
            samples = read_samples(self._history, condition, span=span, tracked=list(state.series), shifts_us=shifts)
            state, transitions = step(_timing(rule), state, samples, until_us=until_us, presence=presence)
            found += transitions
        return state, found

    def _presence(self, hosts: Sequence[Host]) -> Presence:
        heard_us = {host.host_id: to_us(host.last_seen_at) for host in hosts}
        return Presence(heard_us=heard_us, listening_since_us=to_us(self._listening_since))

    def _until_us(self, condition: Condition, now_us: int) -> int:
        until_us = now_us - round(self._config.grace * 1_000_000)
        return until_us - until_us % condition.over_us if condition.over_us else until_us

    def _first_state(self, rule: Rule, now_us: int) -> RuleState:
        """A new rule looks back as far as its condition must have lasted, so that what holds already fires at once."""
        over_us = rule.condition.over_us if rule.condition else 0
        back_us = rule.hold.us + over_us + round((self._config.interval + self._config.grace) * 1_000_000)
        return RuleState(cursor_us=now_us - back_us, series={})

    def _orphans(self, states: Mapping[str, RuleState], now: datetime) -> Sequence[_Outcome]:
        """Rules that have a state but do not exist any more: their alerts end."""
        known = {rule.name for rule in self._rules}
        return [
            _Outcome(
                rule=name,
                before=state.series,
                after=RuleState(cursor_us=state.cursor_us, series={}),
                transitions=resolve_all(state, at_us=to_us(now), reason=Reason.RULE_REMOVED),
            )
            for name, state in states.items()
            if name not in known
        ]


def _set_right(state: RuleState, now_us: int) -> RuleState:
    """A rule whose cursor lies far ahead would be blind until then: it goes on from now."""
    return state if state.cursor_us <= now_us + FURTHEST_AHEAD_US else replace(state, cursor_us=now_us)


def _caught_up(state: RuleState, condition: Condition, now_us: int) -> RuleState:
    """The state with its cursor no further back than is worth catching up, and at the end of a whole window."""
    cursor_us = max(state.cursor_us, now_us - LONGEST_CATCH_UP_US - condition.over_us)
    if condition.over_us:
        cursor_us = -(-cursor_us // condition.over_us) * condition.over_us
    return replace(state, cursor_us=cursor_us)


def _ends(after_us: int, until_us: int, window_us: int) -> Sequence[int]:
    """Where to stop on the way from `after`: spans of whole windows, and the end."""
    span_us = max(1, SPAN_US // window_us) * window_us
    return [*range(after_us + span_us, until_us, span_us), until_us] if until_us > after_us else []


def _timing(rule: Rule) -> Timing:
    return Timing(hold=rule.hold, no_data_us=rule.no_data_us)
