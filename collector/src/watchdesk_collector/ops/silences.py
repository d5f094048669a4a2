"""Silences: for a while, nobody is told about a host, a rule, or a rule on one host. Alerts fire and are recorded all the same.

When a silence ends, by itself or early, dispatch tells of what still fires.
"""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from watchdesk_collector.clock import from_us, to_us
from watchdesk_collector.ops import events
from watchdesk_collector.ops.database import writing
from watchdesk_collector.ops.events import Event
from watchdesk_collector.ops.schema import silence as silence_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is silenced: a host by its name, a rule by its name, or with both the rule on that host."""

    host: str | None = None
    rule: str | None = None

    def __str__(self) -> str:
        parts = [f"host {self.host}" if self.host else "", f"rule {self.rule}" if self.rule else ""]
        return ", ".join(part for part in parts if part)

    def covers(self, *, host: str, rule: str) -> bool:
        """Whether an alert of this rule on this host is silenced."""
        return self.host in (None, host) and self.rule in (None, rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A silence that was asked for; it holds up to but not at `until`."""

    id: int
    target: Target
    comment: str
    created_at: datetime
    until: datetime


class UnknownTarget(Exception):
    """Neither a host nor a rule is called so; the message suggests what might have been meant."""


def target_named(written: str, *, hosts: Collection[str], rules: Collection[str]) -> Target:
    """What `watchdesk silence WRITTEN` means; a host wins over a rule of the same name. **Errors**: UnknownTarget."""
    if written in hosts:
        return Target(host=written)
    if written in rules:
        return Target(rule=written)
    near = difflib.get_close_matches(written, [*hosts, *rules], n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]!r}?" if near else "see `watchdesk hosts list` and `watchdesk alerts`"
    raise UnknownTarget(f"there is neither a host nor a rule {written!r}; {remedy}")


def add(engine: sa.Engine, target: Target, *, for_s: float, comment: str = "", at: datetime) -> Silence:
    """Silence something from now on. **Errors**: ValueError when nothing is named or `for_s` is not positive."""
    if for_s <= 0 or not (target.host or target.rule):
        raise ValueError("a silence names a host or a rule and lasts for some time")
    until = at + timedelta(seconds=for_s)
    values = {"host": target.host, "rule": target.rule, "comment": comment, "created_at_us": to_us(at), "until_us": to_us(until)}
    with writing(engine) as connection:
        silence_id = connection.execute(sa.insert(silence_table).values(values).returning(silence_table.c.id)).scalar_one()
        message = f"{target} is silenced until {until:%Y-%m-%d %H:%M:%S} UTC"
        events.append(connection, Event(at=at, kind="silence.added", message=message, details={"silence": silence_id, "comment": comment}))
    return Silence(id=silence_id, target=target, comment=comment, created_at=at, until=until)


def remove(engine: sa.Engine, silence_id: int, *, at: datetime) -> Silence | None:
    """End a silence early; None when there is no such silence in force."""
    with writing(engine) as connection:
        silence = next((one for one in read_active(connection, at) if one.id == silence_id), None)
        if silence is None:
            return None
        connection.execute(sa.update(silence_table).where(silence_table.c.id == silence_id).values(removed_at_us=to_us(at)))
        message = f"the silence of {silence.target} was ended early"
        events.append(connection, Event(at=at, kind="silence.removed", message=message, details={"silence": silence_id}))
    return silence


def active(engine: sa.Engine, *, at: datetime) -> Sequence[Silence]:
    """The silences in force, those that end first first."""
    with engine.connect() as connection:
        return read_active(connection, at)


def read_active(connection: sa.Connection, at: datetime) -> Sequence[Silence]:
    """As `active`, inside a transaction."""
    in_force = (silence_table.c.until_us > to_us(at)) & silence_table.c.removed_at_us.is_(None)
    rows = connection.execute(sa.select(silence_table).where(in_force).order_by(silence_table.c.until_us, silence_table.c.id)).mappings()
    return [_from_row(row) for row in rows]


def _from_row(row: sa.RowMapping) -> Silence:
    return Silence(
        id=row["id"],
        target=Target(host=row["host"], rule=row["rule"]),
        comment=row["comment"],
        created_at=from_us(row["created_at_us"]),
        until=from_us(row["until_us"]),
    )
