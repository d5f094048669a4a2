"""Sends what the outbox holds: one worker per receiver, so that one that hangs holds up nobody else.

Before it on the pipe: `dispatch`, which puts messages in. Invariant: each attempt and what came of it is committed before the next one; a crash in
between repeats the message under the same idempotency key.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from watchdesk_collector.clock import Clock
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.notify.config import RetryConfig
from watchdesk_collector.notify.errors import DeliveryError
from watchdesk_collector.notify.notification import from_json
from watchdesk_collector.notify.notifiers import Notifier
from watchdesk_collector.ops import events, outbox
from watchdesk_collector.ops.database import writing
from watchdesk_collector.ops.events import Event
from watchdesk_collector.ops.outbox import Attempt, Message, OutboxState

POLL_S = 1.0

log = logging.getLogger(__name__)


class OutboxSender:
    """One per collector."""

    def __init__(self, *, engine: sa.Engine, notifiers: Mapping[str, Notifier], retry: RetryConfig, clock: Clock, metrics: Metrics) -> None:
        self._engine = engine
        self._notifiers = notifiers
        self._retry = retry
        self._clock = clock
        self._metrics = metrics

    async def run(self) -> None:
        """Send until cancelled. What was due before a restart is due still; what is due for a receiver that is gone is dropped."""
        await asyncio.to_thread(self.drop_strangers)
        async with asyncio.TaskGroup() as workers:
            for receiver in self._notifiers:
                workers.create_task(self._serve(receiver))

    async def send_next(self, receiver: str) -> bool:
        """Attempt the oldest message that is due for a receiver; False when there is none."""
        message = await asyncio.to_thread(outbox.next_due, self._engine, receiver, self._clock.now())
        if message is None:
            return False
        if not message.incident_ids:
            await asyncio.to_thread(self._drop, message, "its receiver was never told of the problem")
            return True
        tried = await self._attempt(message)
        await asyncio.to_thread(self._record, message, tried)
        return True

    def drop_strangers(self) -> None:
        """Let go of messages for receivers that the configuration does not name any more."""
        for receiver in outbox.receivers_with_due(self._engine):
            if receiver in self._notifiers:
                continue
            with writing(self._engine) as connection:
                count = outbox.drop_receiver(connection, receiver, self._clock.now())
                message = f"{count} messages to {receiver} were dropped: the configuration does not name it any more"
                events.append(connection, Event(at=self._clock.now(), kind="notification.dropped", message=message))
            log.warning("%s", message)

    async def _serve(self, receiver: str) -> None:
        while not _is_cancelled():
            try:
                has_more = await self.send_next(receiver)
            except sa.exc.OperationalError as error:
                log.error("the outbox cannot be read or written, trying again: %s", error.orig)
                has_more = False
            if not has_more:
                await asyncio.sleep(POLL_S)

    async def _attempt(self, message: Message) -> Attempt:
        at, started_s = self._clock.now(), self._clock.monotonic_s()
        notification = from_json(message.notification).about(message.incident_ids)
        error, is_permanent = None, False
        try:
            await self._notifiers[message.receiver].send(notification, message.idempotency_key)
        except DeliveryError as failure:
            error, is_permanent = str(failure), failure.permanent
        return Attempt(at=at, duration_s=self._clock.monotonic_s() - started_s, error=error, is_permanent=is_permanent)

    def _record(self, message: Message, tried: Attempt) -> None:
        """The attempt, and whether the message is sent, waits, or is given up, in one transaction."""
        now = self._clock.now()
        waits_until = self._waits_until(message, tried, now)
        with writing(self._engine) as connection:
            outbox.record_attempt(connection, message, tried)
            if tried.error is None:
                outbox.finish(connection, message.id, OutboxState.SENT, now)
                self._tell(connection, message, "sent", f"{message.receiver} was told ({message.told})", now)
            elif waits_until is None:
                outbox.finish(connection, message.id, OutboxState.GIVEN_UP, now)
                self._tell(connection, message, "given_up", f"{message.receiver} will not be told ({message.told}): {tried.error}", now)
            else:
                outbox.postpone(connection, message, waits_until)
                self._tell_first_failure(connection, message, tried, now)
        self._count(message, tried, given_up=tried.error is not None and waits_until is None)

    def _waits_until(self, message: Message, tried: Attempt, now: datetime) -> datetime | None:
        """When to try again after a failure; None when that is of no use."""
        backoff_s = min(self._retry.first * 2.0 ** min(message.attempts, 30), self._retry.longest)
        is_too_old = (now - message.created_at).total_seconds() >= self._retry.give_up_after
        return None if tried.is_permanent or is_too_old else now + timedelta(seconds=backoff_s)

    def _drop(self, message: Message, reason: str) -> None:
        now = self._clock.now()
        with writing(self._engine) as connection:
            outbox.finish(connection, message.id, OutboxState.DROPPED, now)
            events.append(connection, Event(at=now, kind="notification.dropped", message=f"a message to {message.receiver} was dropped: {reason}"))

    def _tell(self, connection: sa.Connection, message: Message, what: str, text: str, at: datetime) -> None:
        """An event in the timeline of each incident that the message tells of."""
        details: dict[str, str | int | float | None] = {
            "receiver": message.receiver,
            "idempotency_key": message.idempotency_key,
            "attempt": message.attempts + 1,
        }
        told = [
            Event(at=at, kind=f"notification.{what}", message=text, incident_id=incident_id, details=details) for incident_id in message.incident_ids
        ]
        events.append(connection, *told)

    def _tell_first_failure(self, connection: sa.Connection, message: Message, tried: Attempt, at: datetime) -> None:
        """Further ones are rows of `attempt` alone."""
        if message.attempts == 0:
            self._tell(connection, message, "failed", f"{message.receiver} could not be told yet ({message.told}): {tried.error}", at)

    def _count(self, message: Message, tried: Attempt, *, given_up: bool) -> None:
        outcome = "sent" if tried.error is None else "refused" if tried.is_permanent else "failed"
        self._metrics.attempts.labels(receiver=message.receiver, outcome=outcome).inc()
        self._metrics.messages_due.set(outbox.count_due(self._engine))
        if given_up:
            self._metrics.messages_given_up.labels(receiver=message.receiver).inc()
            log.error("gave up telling %s after %d attempts: %s", message.receiver, message.attempts + 1, tried.error)


def _is_cancelled() -> bool:
    """Whether somebody asked the running task to end. `asyncio.wait_for`, inside aiosmtplib, may swallow the asking on Python 3.11 (bpo-42130)."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
