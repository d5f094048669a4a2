"""The event table: the timeline of incidents, the audit log, and what the pages read. Rows are added and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from watchdesk_collector.clock import from_us, to_us
from watchdesk_collector.ops.schema import event as event_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `kind` is a dotted word for programs ("alert.firing"), `message` one sentence for people, without secrets."""

    at: datetime
    kind: str
    message: str
    host_id: int | None = None
    incident_id: int | None = None
    details: Mapping[str, str | int | float | None] = field(default_factory=dict)


def append(connection: sa.Connection, *events: Event) -> None:
    """Add events inside the caller's transaction, so that they stand or fall with what they tell of."""
    if events:
        connection.execute(sa.insert(event_table), [_to_row(event) for event in events])


def recent(engine: sa.Engine, *, limit: int, host_id: int | None = None) -> Sequence[Event]:
    """The newest events, newest first, of one host or of all."""
    query = sa.select(event_table).order_by(event_table.c.at_us.desc(), event_table.c.id.desc()).limit(limit)
    if host_id is not None:
        query = query.where(event_table.c.host_id == host_id)
    with engine.connect() as connection:
        return [_from_row(row) for row in connection.execute(query).mappings()]


def timeline(engine: sa.Engine, *, incident_id: int) -> Sequence[Event]:
    """What happened in an incident, oldest first."""
    query = sa.select(event_table).where(event_table.c.incident_id == incident_id).order_by(event_table.c.id)
    with engine.connect() as connection:
        return [_from_row(row) for row in connection.execute(query).mappings()]


def _to_row(event: Event) -> dict[str, object]:
    return {
        "at_us": to_us(event.at),
        "kind": event.kind,
        "message": event.message,
        "host_id": event.host_id,
        "incident_id": event.incident_id,
        "details": dict(event.details),
    }


def _from_row(row: sa.RowMapping) -> Event:
    return Event(
        at=from_us(row["at_us"]),
        kind=row["kind"],
        message=row["message"],
        host_id=row["host_id"],
        incident_id=row["incident_id"],
        details=row["details"],
    )
