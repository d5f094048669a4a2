"""The outbox: every message to a receiver is a row from the moment it is decided, and stays one when it is sent.

Before it: `dispatch`, which adds rows in the transaction that records why. After it: `notify`, which sends what is due. Invariant: a message leaves
`due` once, for `sent`, `given_up` or `dropped`; every attempt is a row; a recovery waits until its problem was sent, and is dropped if it never was.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from watchdesk_collector.clock import from_us, to_us
from watchdesk_collector.ops.schema import attempt, outbox, outbox_incident


class Told(StrEnum):
    """As what a message tells of an incident."""

    FIRING = "firing"
    RESOLVED = "resolved"


class OutboxState(StrEnum):
    """What became of a message."""

    DUE = "due"
    SENT = "sent"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that is due. `notification` is what it says, as JSON; `incident_ids` are those it may still tell of."""

    id: int
    idempotency_key: str
    receiver: str
    notification: Mapping[str, Any]
    told: Told
    incident_ids: Sequence[int]
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to send. `error` is None when it was delivered; `is_permanent` when trying again is of no use."""

    at: datetime
    duration_s: float
    error: str | None
    is_permanent: bool


def add(
    connection: sa.Connection,
    *,
    idempotency_key: str,
    receiver: str,
    notification: Mapping[str, Any],
    told: Told,
    incident_ids: Sequence[int],
    at: datetime,
) -> int:
    """Put a message in, due at once, inside the caller's transaction."""
    values = {
        "idempotency_key": idempotency_key,
        "receiver": receiver,
        "notification": dict(notification),
        "created_at_us": to_us(at),
        "due_at_us": to_us(at),
        "state": OutboxState.DUE,
        "attempts": 0,
    }
    outbox_id: int = connection.execute(sa.insert(outbox).values(values).returning(outbox.c.id)).scalar_one()
    connection.execute(
        sa.insert(outbox_incident), [{"outbox_id": outbox_id, "incident_id": incident_id, "told": told} for incident_id in incident_ids]
    )
    return outbox_id


def told_firing(connection: sa.Connection, incident_ids: Collection[int]) -> Mapping[int, Mapping[str, str]]:
    """Which receivers have, or will have, a message that these incidents fire: incident → receiver → its idempotency key."""
    query = (
        sa.select(outbox_incident.c.incident_id, outbox.c.receiver, outbox.c.idempotency_key)
        .join(outbox, outbox.c.id == outbox_incident.c.outbox_id)
        .where(outbox_incident.c.told == Told.FIRING)
        .where(outbox_incident.c.incident_id.in_(sa.bindparam("ids", expanding=True)))
    )
    found: dict[int, dict[str, str]] = {}
    for chunk in _chunks(sorted(incident_ids)):
        for incident_id, receiver, key in connection.execute(query, {"ids": chunk}):
            found.setdefault(incident_id, {})[receiver] = key
    return found


def next_due(engine: sa.Engine, receiver: str, at: datetime) -> Message | None:
    """The oldest message that this receiver should get now."""
    query = sa.select(outbox).where(outbox.c.receiver == receiver, _IS_DUE, outbox.c.due_at_us <= to_us(at), ~_WAITS_FOR_ITS_PROBLEM)
    with engine.connect() as connection:
        row = connection.execute(query.order_by(outbox.c.id).limit(1)).mappings().first()
        return None if row is None else _message(connection, row)


def receivers_with_due(engine: sa.Engine) -> Sequence[str]:
    """Every receiver that something waits for, configured or not."""
    with engine.connect() as connection:
        return connection.execute(sa.select(outbox.c.receiver).where(_IS_DUE).distinct()).scalars().all()


def count_due(engine: sa.Engine) -> int:
    """How many messages wait."""
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(outbox).where(_IS_DUE)).scalar_one()


def drop_receiver(connection: sa.Connection, receiver: str, at: datetime) -> int:
    """Drop all that waits for a receiver; returns how many messages that was."""
    update = sa.update(outbox).where(outbox.c.receiver == receiver, _IS_DUE)
    return connection.execute(update.values(state=OutboxState.DROPPED, finished_at_us=to_us(at))).rowcount


def record_attempt(connection: sa.Connection, message: Message, tried: Attempt) -> None:
    """Add the row of one attempt."""
    values = {
        "outbox_id": message.id,
        "at_us": to_us(tried.at),
        "duration_s": tried.duration_s,
        "error": tried.error,
        "is_permanent": None if tried.error is None else tried.is_permanent,
    }
    connection.execute(sa.insert(attempt).values(values))
    connection.execute(sa.update(outbox).where(outbox.c.id == message.id).values(attempts=outbox.c.attempts + 1))


def postpone(connection: sa.Connection, message: Message, until: datetime) -> None:
    """Leave it due, but not before then."""
    connection.execute(sa.update(outbox).where(outbox.c.id == message.id, _IS_DUE).values(due_at_us=to_us(until)))


def finish(connection: sa.Connection, outbox_id: int, state: OutboxState, at: datetime) -> None:
    """Let it leave `due` for good."""
    connection.execute(sa.update(outbox).where(outbox.c.id == outbox_id, _IS_DUE).values(state=state, finished_at_us=to_us(at)))


_IS_DUE = outbox.c.state == sa.literal_column("'due'")
_mine, _theirs, _problem = outbox_incident.alias("mine"), outbox_incident.alias("theirs"), outbox.alias("problem")
_problems_of_mine = (
    sa.select(_problem.c.id)
    .select_from(_mine)
    .join(_theirs, _theirs.c.incident_id == _mine.c.incident_id)
    .join(_problem, _problem.c.id == _theirs.c.outbox_id)
    .where(_mine.c.outbox_id == outbox.c.id, _mine.c.told == Told.RESOLVED)
    .where(_theirs.c.told == Told.FIRING, _problem.c.receiver == outbox.c.receiver)
)
_WAITS_FOR_ITS_PROBLEM = _problems_of_mine.where(_problem.c.state == OutboxState.DUE).correlate(outbox).exists()


def _message(connection: sa.Connection, row: sa.RowMapping) -> Message:
    incidents = connection.execute(
        sa.select(outbox_incident.c.incident_id, outbox_incident.c.told)
        .where(outbox_incident.c.outbox_id == row["id"])
        .order_by(outbox_incident.c.incident_id)
    ).all()
    told = Told(incidents[0].told)
    ids = [incident_id for incident_id, _ in incidents]
    return Message(
        id=row["id"],
        idempotency_key=row["idempotency_key"],
        receiver=row["receiver"],
        notification=row["notification"],
        told=told,
        incident_ids=ids if told is Told.FIRING else _sent_problems(connection, row["receiver"], ids),
        created_at=from_us(row["created_at_us"]),
        attempts=row["attempts"],
    )


def _sent_problems(connection: sa.Connection, receiver: str, incident_ids: Sequence[int]) -> Sequence[int]:
    """Those of the incidents whose firing did reach the receiver."""
    query = (
        sa.select(outbox_incident.c.incident_id)
        .join(outbox, outbox.c.id == outbox_incident.c.outbox_id)
        .where(outbox_incident.c.told == Told.FIRING, outbox.c.receiver == receiver, outbox.c.state == OutboxState.SENT)
        .where(outbox_incident.c.incident_id.in_(sa.bindparam("ids", expanding=True)))
        .order_by(outbox_incident.c.incident_id)
    )
    return [incident_id for chunk in _chunks(incident_ids) for incident_id in connection.execute(query, {"ids": chunk}).scalars()]


def _chunks(ids: Sequence[int]) -> Sequence[Sequence[int]]:
    """SQLite takes a bounded number of parameters."""
    return [ids[start : start + 500] for start in range(0, len(ids), 500)]
