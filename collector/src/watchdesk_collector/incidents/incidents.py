"""Opening, resolving and listing incidents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from watchdesk_collector.clock import from_us, to_us
from watchdesk_collector.ops import events
from watchdesk_collector.ops.events import Event
from watchdesk_collector.ops.schema import incident as incident_table
from watchdesk_collector.ops.severity import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is known when an alert fires. `since` is when its condition began to hold, `fired_at` when it had held long enough."""

    rule: str
    fingerprint: str
    host_id: int
    host: str
    labels: Mapping[str, str]
    severity: Severity
    summary: str
    since: datetime
    fired_at: datetime
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An opening with its number, and its end. `recorded_at` is when the collector saw it fire, a little after `fired_at`."""

    id: int
    opening: Opening
    recorded_at: datetime
    resolved_at: datetime | None = None
    reason: str = ""


def open_incident(connection: sa.Connection, opening: Opening, *, at: datetime) -> Incident:
    """Open the incident of an alert that fires."""
    values = {
        "rule": opening.rule,
        "fingerprint": opening.fingerprint,
        "host_id": opening.host_id,
        "host": opening.host,
        "labels": dict(opening.labels),
        "severity": opening.severity,
        "summary": opening.summary,
        "since_us": to_us(opening.since),
        "opened_at_us": to_us(opening.fired_at),
        "recorded_at_us": to_us(at),
        "value": opening.value,
    }
    incident_id = connection.execute(sa.insert(incident_table).values(values).returning(incident_table.c.id)).scalar_one()
    incident = Incident(id=incident_id, opening=opening, recorded_at=at)
    _tell(connection, incident, at=opening.fired_at, kind="alert.firing", message=f"{opening.rule} fires on {opening.host}: {opening.summary}")
    return incident


def resolve_incident(
    connection: sa.Connection, *, rule: str, fingerprint: str, resolved_at: datetime, reason: str, value: float | None
) -> Incident | None:
    """Resolve the open incident of an alert; None when there is none."""
    matches = (incident_table.c.rule == rule) & (incident_table.c.fingerprint == fingerprint) & incident_table.c.resolved_at_us.is_(None)
    update = sa.update(incident_table).where(matches).values(resolved_at_us=to_us(resolved_at), reason=reason, value=value)
    row = connection.execute(update.returning(*incident_table.c)).mappings().first()
    if row is None:
        return None
    incident = _from_row(row)
    message = f"{rule} is resolved on {incident.opening.host}: {reason}"
    _tell(connection, incident, at=resolved_at, kind="alert.resolved", message=message)
    return incident


def list_open(connection: sa.Connection) -> Sequence[Incident]:
    """All incidents that are not resolved, oldest first."""
    query = sa.select(incident_table).where(incident_table.c.resolved_at_us.is_(None)).order_by(incident_table.c.id)
    return [_from_row(row) for row in connection.execute(query).mappings()]


def _tell(connection: sa.Connection, incident: Incident, *, at: datetime, kind: str, message: str) -> None:
    details = {"rule": incident.opening.rule, "severity": str(incident.opening.severity)}
    host_id = incident.opening.host_id
    events.append(connection, Event(at=at, kind=kind, message=message, host_id=host_id, incident_id=incident.id, details=details))


def _from_row(row: sa.RowMapping) -> Incident:
    opening = Opening(
        rule=row["rule"],
        fingerprint=row["fingerprint"],
        host_id=row["host_id"],
        host=row["host"],
        labels=row["labels"],
        severity=Severity(row["severity"]),
        summary=row["summary"],
        since=from_us(row["since_us"]),
        fired_at=from_us(row["opened_at_us"]),
        value=row["value"],
    )
    return Incident(
        id=row["id"],
        opening=opening,
        recorded_at=from_us(row["recorded_at_us"]),
        resolved_at=from_us(row["resolved_at_us"]) if row["resolved_at_us"] is not None else None,
        reason=row["reason"] or "",
    )
