"""What a message says, apart from how a channel writes it. Kept in the outbox as JSON, so that a retry says the same."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from watchdesk_collector.ops.outbox import Told
from watchdesk_collector.ops.severity import Severity

MOST_TEXT = 500
MOST_ALERTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertNote:
    """One alert in a message. `since` is when its condition began to hold. `condition` is the one that fires, `value` the one it was seen with."""

    incident_id: int
    rule: str
    severity: Severity
    host: str
    labels: Mapping[str, str]
    summary: str
    value: str
    condition: str
    since: datetime
    fired_at: datetime
    resolved_at: datetime | None
    reason: str
    remedy: str
    runbook: str
    page_url: str
    silence_command: str

    @property
    def where(self) -> str:
        """The host, and the labels that tell the series apart: "web1, mount=/var"."""
        return ", ".join([self.host, *(f"{name}={value}" for name, value in self.labels.items() if value)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message: alerts that all fire, or are all resolved, worst first, and how many `more` there are than a message bears.

    `answers` are idempotency keys of the messages that it is the end of.
    """

    told: Told
    alerts: Sequence[AlertNote]
    more: int = 0
    page_url: str
    written_at: datetime
    answers: Sequence[str] = ()

    @property
    def severity(self) -> Severity:
        """That of the worst alert."""
        return max((alert.severity for alert in self.alerts), key=lambda severity: severity.rank)

    @property
    def status(self) -> str:
        """The first word of a subject: "CRITICAL", "WARNING", "INFO" or "RESOLVED"."""
        return "RESOLVED" if self.told is Told.RESOLVED else self.severity.upper()

    @property
    def title(self) -> str:
        """What it is about, in one line."""
        count = len(self.alerts) + self.more
        if count == 1:
            return f"{self.alerts[0].host}: {self.alerts[0].summary}"
        hosts = list(dict.fromkeys(alert.host for alert in self.alerts))
        rules = list(dict.fromkeys(alert.rule for alert in self.alerts))
        if len(hosts) == 1:
            return f"{hosts[0]}: {count} alerts ({_some(rules)})"
        what = rules[0] if len(rules) == 1 else f"{count} alerts"
        return f"{what} on {len(hosts)}{'+' if self.more else ''} hosts ({_some(hosts)})"

    def about(self, incident_ids: Sequence[int]) -> "Notification":
        """The same message with only these incidents in it."""
        alerts = [alert for alert in self.alerts if alert.incident_id in incident_ids]
        return replace(self, alerts=alerts, more=len(incident_ids) - len(alerts))


def clean(text: str) -> str:
    """Text from a host on one line, without control characters, and not longer than a message bears."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= MOST_TEXT else line[: MOST_TEXT - 1] + "…"


def to_json(notification: Notification) -> dict[str, Any]:
    """As the outbox keeps it."""
    document = asdict(notification)
    document["written_at"] = notification.written_at.isoformat()
    for alert in document["alerts"]:
        for name in _TIMES:
            alert[name] = alert[name].isoformat() if alert[name] else None
    return document


def from_json(document: Mapping[str, Any]) -> Notification:
    """The inverse of `to_json`."""
    return Notification(
        told=Told(document["told"]),
        alerts=[_note(alert) for alert in document["alerts"]],
        more=document["more"],
        page_url=document["page_url"],
        written_at=datetime.fromisoformat(document["written_at"]),
        answers=document["answers"],
    )


_TIMES = ("since", "fired_at", "resolved_at")


def _note(alert: Mapping[str, Any]) -> AlertNote:
    times = {name: datetime.fromisoformat(alert[name]) if alert[name] else None for name in _TIMES}
    return AlertNote(**{**alert, **times, "severity": Severity(alert["severity"])})


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown}, …"
