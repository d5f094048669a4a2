"""Why somebody was not told: kept with the incident, a row each time the reason changes."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from watchdesk_collector.clock import to_us
from watchdesk_collector.dispatch.stages import Dropped
from watchdesk_collector.ops import events
from watchdesk_collector.ops.events import Event
from watchdesk_collector.ops.schema import decision, incident


def record(connection: sa.Connection, dropped: Sequence[Dropped], at: datetime) -> None:
    """Write down the reasons that are new, in the decision table and in the timelines."""
    known = _newest(connection) if dropped else {}
    rows, told = [], []
    for one in dropped:
        for told_of in one.draft.incidents:
            if known.get((told_of.id, one.draft.receiver)) == (one.stage, one.reason):
                continue
            rows.append({"at_us": to_us(at), "incident_id": told_of.id, "receiver": one.draft.receiver, "stage": one.stage, "reason": one.reason})
            message = f"{one.draft.receiver} was not told: {one.reason}"
            event = Event(at=at, kind=f"dispatch.{one.stage}", message=message, host_id=told_of.opening.host_id, incident_id=told_of.id)
            told.append(event)
    if rows:
        connection.execute(sa.insert(decision), rows)
        events.append(connection, *told)


def _newest(connection: sa.Connection) -> dict[tuple[int, str], tuple[str, str]]:
    """The last reason for each receiver of each open incident."""
    newest = (
        sa.select(sa.func.max(decision.c.id))
        .join(incident, incident.c.id == decision.c.incident_id)
        .where(incident.c.resolved_at_us.is_(None))
        .group_by(decision.c.incident_id, decision.c.receiver)
    )
    rows = connection.execute(sa.select(decision).where(decision.c.id.in_(newest))).mappings()
    return {(row["incident_id"], row["receiver"]): (row["stage"], row["reason"]) for row in rows}
