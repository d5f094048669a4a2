"""Turns what changed into incidents, and incidents into messages, inside the transaction of the evaluation."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from watchdesk_collector.alerting.engine import Change
from watchdesk_collector.alerting.rules import Rule, RuleKind
from watchdesk_collector.alerting.step import Reason
from watchdesk_collector.alerting.wording import duration
from watchdesk_collector.clock import from_us
from watchdesk_collector.dispatch import decisions
from watchdesk_collector.dispatch.config import DispatchConfig
from watchdesk_collector.dispatch.messages import idempotency_key, notification_of
from watchdesk_collector.dispatch.stages import Draft, Situation, run_stages
from watchdesk_collector.incidents import Incident, Opening, list_open, open_incident, resolve_incident
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Host
from watchdesk_collector.notify.notification import clean, to_json
from watchdesk_collector.notify.route import Receiver
from watchdesk_collector.ops import outbox
from watchdesk_collector.ops.outbox import Told
from watchdesk_collector.ops.severity import Severity
from watchdesk_collector.ops.silences import read_active
from watchdesk_collector.ops.states import AlertState


class Dispatcher:
    """One per collector; knows the receivers, and the rules for their words."""

    def __init__(
        self,
        *,
        receivers: Sequence[Receiver],
        rules: Sequence[Rule],
        hosts: Callable[[], Sequence[Host]],
        config: DispatchConfig,
        base_url: str,
        metrics: Metrics,
    ) -> None:
        self._receivers = receivers
        self._rules = {rule.name: rule for rule in rules}
        self._hosts = hosts
        self._config = config
        self._base_url = base_url.rstrip("/")
        self._metrics = metrics

    def dispatch(self, connection: sa.Connection, changes: Sequence[Change], at: datetime) -> None:
        """Open and resolve incidents, then put into the outbox what the stages keep, and write down why they dropped the rest."""
        resolved = self._follow(connection, changes, at)
        firing = list_open(connection)
        told = outbox.told_firing(connection, [incident.id for incident in (*firing, *resolved)])
        drafts = [*self._recoveries(resolved, told), *self._problems(firing, told)]
        verdict = run_stages(drafts, self._situation(connection, firing, at))
        decisions.record(connection, verdict.dropped, at)
        for draft in verdict.kept:
            self._post(connection, draft, told, at)
        for severity in Severity:
            self._metrics.alerts_firing.labels(severity=severity).set(sum(one.opening.severity is severity for one in firing))

    def _follow(self, connection: sa.Connection, changes: Sequence[Change], at: datetime) -> Sequence[Incident]:
        """Incidents as the changes have it; returns those that are resolved now."""
        names = {host.host_id: host.name for host in self._hosts()}
        resolved = []
        for change in changes:
            if change.transition.to_state is AlertState.FIRING:
                open_incident(connection, self._opening(change, names), at=at)
            elif change.transition.to_state is AlertState.RESOLVED and (incident := self._resolve(connection, change)):
                resolved.append(incident)
        return resolved

    def _opening(self, change: Change, names: Mapping[int, str]) -> Opening:
        rule, transition = self._rules[change.rule], change.transition
        host = names.get(transition.series.host_id, f"host {transition.series.host_id}")
        summary = rule.summarise(host=host, labels=transition.series.labels, value=transition.value, facts=transition.facts)
        return Opening(
            rule=change.rule,
            fingerprint=transition.series.fingerprint,
            host_id=transition.series.host_id,
            host=host,
            labels=transition.series.labels,
            severity=rule.severity,
            summary=clean(summary),
            since=from_us(transition.since_us),
            fired_at=from_us(transition.at_us),
            value=transition.value,
        )

    def _resolve(self, connection: sa.Connection, change: Change) -> Incident | None:
        transition = change.transition
        return resolve_incident(
            connection,
            rule=change.rule,
            fingerprint=transition.series.fingerprint,
            resolved_at=from_us(transition.at_us),
            reason=self._reason(change),
            value=transition.value,
        )

    def _reason(self, change: Change) -> str:
        rule = self._rules.get(change.rule)
        if rule is not None and change.transition.reason is Reason.CLEARS:
            return rule.clears_when
        if rule is not None and rule.no_data_us is not None and change.transition.reason is Reason.NO_DATA:
            return f"no data for {duration(rule.no_data_us / 1_000_000)}"
        return change.transition.reason

    def _problems(self, firing: Sequence[Incident], told: Mapping[int, Mapping[str, str]]) -> Sequence[Draft]:
        """What the receivers should know and have not been told."""
        return [
            Draft(receiver=receiver.name, told=Told.FIRING, incidents=[incident])
            for incident in firing
            for receiver in self._receivers
            if receiver.name not in told.get(incident.id, {}) and _wants(receiver, incident)
        ]

    def _recoveries(self, resolved: Sequence[Incident], told: Mapping[int, Mapping[str, str]]) -> Sequence[Draft]:
        """Only for those that were told of the problem."""
        known = {receiver.name for receiver in self._receivers}
        return [
            Draft(receiver=receiver, told=Told.RESOLVED, incidents=[incident])
            for incident in resolved
            for receiver in told.get(incident.id, {})
            if receiver in known
        ]

    def _situation(self, connection: sa.Connection, firing: Sequence[Incident], at: datetime) -> Situation:
        silent = {rule.name for rule in self._rules.values() if rule.kind is RuleKind.SILENT}
        silent_hosts = {incident.opening.host_id: incident for incident in firing if incident.opening.rule in silent}
        return Situation(at=at, silences=read_active(connection, at), silent_hosts=silent_hosts, config=self._config)

    def _post(self, connection: sa.Connection, draft: Draft, told: Mapping[int, Mapping[str, str]], at: datetime) -> None:
        ids = [incident.id for incident in draft.incidents]
        answers = dict.fromkeys(told[one][draft.receiver] for one in ids) if draft.told is Told.RESOLVED else ()
        notification = notification_of(draft, rules=self._rules, base_url=self._base_url, at=at, answers=list(answers))
        outbox.add(
            connection,
            idempotency_key=idempotency_key(draft),
            receiver=draft.receiver,
            notification=to_json(notification),
            told=draft.told,
            incident_ids=ids,
            at=at,
        )


def _wants(receiver: Receiver, incident: Incident) -> bool:
    opening = incident.opening
    return receiver.route.wants(severity=opening.severity, host=opening.host, rule=opening.rule)
