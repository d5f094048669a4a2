"""From a draft to a message: the words of the rule, the values of the incident, and where to look further."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

from watchdesk_collector.alerting.rules import Rule
from watchdesk_collector.dispatch.stages import Draft
from watchdesk_collector.incidents import Incident
from watchdesk_collector.notify.notification import MOST_ALERTS, AlertNote, Notification, clean


def notification_of(draft: Draft, *, rules: Mapping[str, Rule], base_url: str, at: datetime, answers: Sequence[str]) -> Notification:
    """The message that a draft becomes. A rule that is gone leaves its incidents without remedy and condition."""
    shown = draft.incidents[:MOST_ALERTS]
    return Notification(
        told=draft.told,
        alerts=[_note(incident, rules.get(incident.opening.rule), base_url) for incident in shown],
        more=len(draft.incidents) - len(shown),
        page_url=base_url,
        written_at=at,
        answers=answers,
    )


def idempotency_key(draft: Draft) -> str:
    """The same for the same firings told to the same receiver, whatever restarts in between; never the same for others."""
    firings = sorted(f"{one.opening.rule} {one.opening.fingerprint} {one.opening.fired_at.isoformat()}" for one in draft.incidents)
    return hashlib.blake2b("\n".join([draft.receiver, draft.told, *firings]).encode(), digest_size=16).hexdigest()


def _note(incident: Incident, rule: Rule | None, base_url: str) -> AlertNote:
    opening = incident.opening
    return AlertNote(
        incident_id=incident.id,
        rule=opening.rule,
        severity=opening.severity,
        host=opening.host,
        labels={name: clean(value) for name, value in opening.labels.items()},
        summary=opening.summary,
        value=rule.value_text(opening.value) if rule else "",
        condition=rule.fires_when if rule else "",
        since=opening.since,
        fired_at=opening.fired_at,
        resolved_at=incident.resolved_at,
        reason=incident.reason,
        remedy=rule.remedy if rule else "",
        runbook=rule.runbook if rule else "",
        page_url=f"{base_url}/hosts/{quote(opening.host, safe='')}",
        silence_command=f"watchdesk silence {shlex.quote(opening.host)} --for 2h",
    )
