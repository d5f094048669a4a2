"""All ways of telling people, by receiver. A new one is a file beside this and a line in `NOTIFIERS`."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol

from watchdesk_collector.clock import Clock
from watchdesk_collector.notify.config import NotifyConfig
from watchdesk_collector.notify.email import EmailNotifier
from watchdesk_collector.notify.errors import DeliveryError
from watchdesk_collector.notify.notification import AlertNote, Notification
from watchdesk_collector.notify.webhook import WebhookNotifier
from watchdesk_collector.ops.outbox import Told
from watchdesk_collector.ops.severity import Severity


class Notifier(Protocol):
    """Delivers to one receiver."""

    async def send(self, notification: Notification, idempotency_key: str) -> None:
        """Deliver once, within a time limit of its own. **Errors**: DeliveryError, for everything that can go wrong outside."""
        ...


def _emails(config: NotifyConfig, _clock: Clock) -> Mapping[str, Notifier]:
    return {f"email.{name}": EmailNotifier(email) for name, email in config.email.items()}


def _webhooks(config: NotifyConfig, clock: Clock) -> Mapping[str, Notifier]:
    return {f"webhook.{name}": WebhookNotifier(webhook, clock) for name, webhook in config.webhook.items()}


NOTIFIERS: tuple[Callable[[NotifyConfig, Clock], Mapping[str, Notifier]], ...] = (_emails, _webhooks)


def make_notifiers(config: NotifyConfig, clock: Clock) -> Mapping[str, Notifier]:
    """A notifier for every receiver of the configuration, by the receiver's name."""
    return {name: notifier for make in NOTIFIERS for name, notifier in make(config, clock).items()}


class NotifyTest:
    """`watchdesk notify test`: sends a message that says it is a test, at once and past the outbox, so that the answer is the receiver's."""

    def __init__(self, *, notifiers: Mapping[str, Notifier], clock: Clock, base_url: str) -> None:
        self._notifiers = notifiers
        self._clock = clock
        self._base_url = base_url

    async def __call__(self, receiver: str | None) -> Mapping[str, str | None]:
        """By receiver, None when it was delivered, else why not. **Errors**: KeyError for a receiver that is not configured."""
        names = list(self._notifiers) if receiver is None else [receiver]
        notifiers = [self._notifiers[name] for name in names]
        errors = await asyncio.gather(*(self._try(notifier) for notifier in notifiers))
        return dict(zip(names, errors, strict=True))

    async def _try(self, notifier: Notifier) -> str | None:
        message = self._message()
        try:
            await notifier.send(message, f"test-{message.written_at:%Y%m%dT%H%M%S.%f}")
        except DeliveryError as error:
            return str(error)
        return None

    def _message(self) -> Notification:
        now = self._clock.now()
        note = AlertNote(
            incident_id=0,
            rule="test",
            severity=Severity.INFO,
            host="watchdesk",
            labels={},
            summary="this is a test: messages from Watchdesk reach you",
            value="",
            condition="somebody ran `watchdesk notify test`",
            since=now - timedelta(seconds=1),
            fired_at=now,
            resolved_at=None,
            reason="",
            remedy="Nothing is wrong; there is nothing to do.",
            runbook="",
            page_url=self._base_url,
            silence_command="watchdesk silence RULE --for 2h",
        )
        return Notification(told=Told.FIRING, alerts=[note], page_url=self._base_url, written_at=now)
