"""Keeps what the rules remember in ops.db: cursors, series that are not inactive, and every transition."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from watchdesk_collector.alerting.step import RuleState, Series, SeriesState, Transition
from watchdesk_collector.ops import schema
from watchdesk_collector.ops.states import AlertState


def load(engine: sa.Engine) -> dict[str, RuleState]:
    """The state of every rule that was ever evaluated, by its name."""
    series: dict[str, dict[str, SeriesState]] = defaultdict(dict)
    with engine.connect() as connection:
        cursors = connection.execute(sa.select(schema.rule_cursor.c.rule, schema.rule_cursor.c.at_us)).all()
        for row in connection.execute(sa.select(schema.alert)).mappings():
            series[row["rule"]][row["fingerprint"]] = _from_row(row)
    return {rule: RuleState(cursor_us=at_us, series=series.get(rule, {})) for rule, at_us in cursors}


def save(
    connection: sa.Connection, rule: str, *, before: Mapping[str, SeriesState], after: RuleState, transitions: Sequence[Transition], at_us: int
) -> None:
    """Write what changed, inside the caller's transaction."""
    cursor = insert(schema.rule_cursor).values(rule=rule, at_us=after.cursor_us)
    connection.execute(cursor.on_conflict_do_update(index_elements=["rule"], set_={"at_us": after.cursor_us}))
    gone = [fingerprint for fingerprint in before if fingerprint not in after.series]
    changed = [state for fingerprint, state in after.series.items() if state != before.get(fingerprint)]
    if gone:
        matches = (schema.alert.c.rule == rule) & (schema.alert.c.fingerprint == sa.bindparam("gone"))
        connection.execute(sa.delete(schema.alert).where(matches), [{"gone": fingerprint} for fingerprint in gone])
    if changed:
        upsert = insert(schema.alert)
        new = {name: upsert.excluded[name] for name in _CHANGING}
        connection.execute(
            upsert.on_conflict_do_update(index_elements=["rule", "fingerprint"], set_=new), [_to_row(rule, state) for state in changed]
        )
    if transitions:
        connection.execute(sa.insert(schema.transition), [_transition_row(rule, transition, at_us) for transition in transitions])


def forget(connection: sa.Connection, rule: str) -> None:
    """Drop what a rule that is gone remembered; its transitions stay."""
    connection.execute(sa.delete(schema.alert).where(schema.alert.c.rule == rule))
    connection.execute(sa.delete(schema.rule_cursor).where(schema.rule_cursor.c.rule == rule))


_CHANGING = ("state", "since_us", "fired_at_us", "sampled_at_us", "samples", "absent_us", "value")


def _to_row(rule: str, state: SeriesState) -> dict[str, object]:
    return {
        "rule": rule,
        "fingerprint": state.series.fingerprint,
        "host_id": state.series.host_id,
        "labels": dict(state.series.labels),
        **{name: getattr(state, name) for name in _CHANGING},
    }


def _from_row(row: sa.RowMapping) -> SeriesState:
    return SeriesState(
        series=Series(fingerprint=row["fingerprint"], host_id=row["host_id"], labels=row["labels"]),
        state=AlertState(row["state"]),
        since_us=row["since_us"],
        fired_at_us=row["fired_at_us"],
        sampled_at_us=row["sampled_at_us"],
        samples=row["samples"],
        absent_us=row["absent_us"],
        value=row["value"],
    )


def _transition_row(rule: str, transition: Transition, recorded_at_us: int) -> dict[str, object]:
    return {
        "rule": rule,
        "fingerprint": transition.series.fingerprint,
        "host_id": transition.series.host_id,
        "labels": dict(transition.series.labels),
        "from_state": transition.from_state,
        "to_state": transition.to_state,
        "at_us": transition.at_us,
        "recorded_at_us": recorded_at_us,
        "value": transition.value,
        "reason": transition.reason,
    }
