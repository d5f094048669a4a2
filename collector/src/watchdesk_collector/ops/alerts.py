"""Alerts as pages, the API and the CLI show them: those that fire, and those that were resolved last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from watchdesk_collector.clock import from_us
from watchdesk_collector.ops.schema import alert, decision, host, incident, outbox_incident
from watchdesk_collector.ops.severity import Severity
from watchdesk_collector.ops.states import AlertState


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One firing of an alert. `since` is when its condition began to hold, `fired_at` when it had held long enough; `value` is the newest.

    `held` says why nobody was told so far ("silenced until …"), empty when somebody was; `reason` says why it was resolved.
    """

    incident_id: int
    rule: str
    severity: Severity
    host: str
    host_id: int
    labels: Mapping[str, str]
    state: AlertState
    value: float | None
    summary: str
    since: datetime
    fired_at: datetime
    resolved_at: datetime | None
    reason: str
    held: str


def firing(engine: sa.Engine, *, host_id: int | None = None) -> Sequence[Alert]:
    """What fires now, worst first, then newest first; of one host or of all."""
    query = _SELECT.where(incident.c.resolved_at_us.is_(None))
    found = _read(engine, query if host_id is None else query.where(incident.c.host_id == host_id))
    return sorted(found, key=lambda one: (-one.severity.rank, -one.fired_at.timestamp(), one.incident_id))


def recent(engine: sa.Engine, limit: int, *, host_id: int | None = None) -> Sequence[Alert]:
    """What was resolved last, newest first; of one host or of all."""
    query = _SELECT.where(incident.c.resolved_at_us.is_not(None)).order_by(incident.c.resolved_at_us.desc(), incident.c.id.desc()).limit(limit)
    return _read(engine, query if host_id is None else query.where(incident.c.host_id == host_id))


_newest_decision = (
    sa.select(decision.c.reason)
    .where(decision.c.incident_id == incident.c.id)
    .order_by(decision.c.id.desc())
    .limit(1)
    .correlate(incident)
    .scalar_subquery()
)
_somebody_was_told = sa.exists().where(outbox_incident.c.incident_id == incident.c.id)
_SELECT = sa.select(
    incident,
    sa.func.coalesce(host.c.name, incident.c.host).label("host_name"),
    sa.func.coalesce(alert.c.value, incident.c.value).label("newest_value"),
    sa.case((_somebody_was_told, ""), else_=sa.func.coalesce(_newest_decision, "")).label("held"),
).select_from(
    incident.outerjoin(host, host.c.host_id == incident.c.host_id).outerjoin(
        alert,
        sa.and_(
            alert.c.rule == incident.c.rule,
            alert.c.fingerprint == incident.c.fingerprint,
            alert.c.state == AlertState.FIRING,
            incident.c.resolved_at_us.is_(None),
        ),
    )
)


def _read(engine: sa.Engine, query: sa.Select[tuple[object, ...]]) -> Sequence[Alert]:
    with engine.connect() as connection:
        return [_from_row(row) for row in connection.execute(query).mappings()]


def _from_row(row: sa.RowMapping) -> Alert:
    resolved_at_us = row["resolved_at_us"]
    return Alert(
        incident_id=row["id"],
        rule=row["rule"],
        severity=Severity(row["severity"]),
        host=row["host_name"],
        host_id=row["host_id"],
        labels=row["labels"],
        state=AlertState.FIRING if resolved_at_us is None else AlertState.RESOLVED,
        value=row["newest_value"],
        summary=row["summary"],
        since=from_us(row["since_us"]),
        fired_at=from_us(row["opened_at_us"]),
        resolved_at=None if resolved_at_us is None else from_us(resolved_at_us),
        reason=row["reason"] or "",
        held=row["held"],
    )
