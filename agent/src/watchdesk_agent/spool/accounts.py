"""What batches account for, slot by slot, so that what is lost with one is known: nothing here touches the disk.

`covered` says how far each sampler's slots are accounted for, as of the newest batch; `lost` holds stretches that no batch will bring, until they
are told as rows of `missed`; `dropped` holds what dropped batches accounted for, while the collector may yet turn out to have stored them.
Invariant: a slot below a sampler's `until_us` is in a batch with its rows, in a batch with its row of `missed`, or in `lost` or `dropped`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from watchdesk_agent.model import Cause
from watchdesk_agent.schedule import Cadence, Stretch
from watchdesk_agent.spool.statements import Statement

EARLIEST_US = 946_684_800_000_000  # 2000-01-01: the collector refuses what is dated earlier, by a clock that was not set
MAX_LOST = 10_000  # stretches; those that follow each other are one, so that this is months of trouble

READ_COVERED = "SELECT sampler, interval_us, since_us, until_us, is_proven FROM covered"
READ_LOST = """
    SELECT id, sampler, first_us, slots, interval_us, cause, reason FROM lost
    WHERE first_us + slots * interval_us <= ? ORDER BY id LIMIT 1000
"""
COVER = "UPDATE covered SET until_us = ?, is_proven = 1 WHERE sampler = ?"
COVER_TOLD = "UPDATE covered SET until_us = max(until_us, ?) WHERE sampler = ?"  # what is told late lies behind what was sampled meanwhile
EXTEND = """
    UPDATE lost SET slots = slots + ?
    WHERE id > ? AND sampler = ? AND cause = ? AND interval_us = ? AND first_us + slots * interval_us = ?
"""
LOSE = """
    INSERT INTO lost (sampler, first_us, slots, interval_us, cause, reason) SELECT ?, ?, ?, ?, ?, ?
    WHERE NOT EXISTS (
        SELECT 1 FROM lost
        WHERE id > ? AND sampler = ? AND cause = ? AND interval_us = ? AND first_us <= ? AND first_us + slots * interval_us >= ?
    ) AND (SELECT count(*) FROM lost) < ?
"""


@dataclass(frozen=True, slots=True)
class Covered:
    """How far a sampler's slots are accounted for, and since when at this interval.

    It is proven once it has told something: then the host has what it measures.
    """

    sampler: str
    interval_us: int
    since_us: int
    until_us: int
    is_proven: bool


def dump(stretches: Iterable[Stretch]) -> str:
    """As text; samplers with the same slots share an entry."""
    samplers: dict[tuple[object, ...], list[str]] = {}
    for one in stretches:
        samplers.setdefault((one.first_us, one.slots, one.interval_us, one.cause, one.reason), []).append(one.sampler)
    return json.dumps([[*key, names] for key, names in samplers.items()], separators=(",", ":"))


def load(text: str) -> list[Stretch]:
    """The inverse of `dump`, but for the order."""
    return [
        Stretch(sampler=name, first_us=first_us, slots=slots, interval_us=interval_us, cause=cause and Cause(cause), reason=reason)
        for first_us, slots, interval_us, cause, reason, names in json.loads(text)
        for name in names
    ]


def covering(stretches: Iterable[Stretch]) -> Iterator[Statement]:
    """Note how far slots are accounted for by these."""
    until_us: dict[str, int] = {}
    proven: set[str] = set()
    for one in stretches:
        until_us[one.sampler] = max(one.until_us, until_us.get(one.sampler, one.until_us))
        proven |= set() if one.cause else {one.sampler}
    for sampler, at_us in until_us.items():
        yield COVER if sampler in proven else COVER_TOLD, (at_us, sampler)


def losing(stretches: Iterable[Stretch], *, after_id: int) -> Iterator[Statement]:
    """Keep stretches that no batch will bring; one that continues an earlier one extends it, unless that has an id up to `after_id`."""
    for one in stretches:
        if one.first_us < EARLIEST_US:
            continue
        kind = (after_id, one.sampler, one.cause, one.interval_us)
        yield EXTEND, (one.slots, *kind, one.first_us)
        yield LOSE, (one.sampler, one.first_us, one.slots, one.interval_us, one.cause, one.reason, *kind, one.first_us, one.until_us, MAX_LOST)


def beginning(covered: Mapping[str, Covered], cadences: Sequence[Cadence]) -> Iterator[Statement]:
    """Note that samplers serve from their first slots on; the stretch before is the caller's to tell."""
    yield "DELETE FROM covered", ()
    for cadence in cadences:
        known = covered.get(cadence.sampler)
        since_us = cadence.first_us
        if known is not None and known.is_proven:
            since_us = known.since_us if known.interval_us == cadence.interval_us else min(_slot_from(known.until_us, cadence), cadence.first_us)
        is_proven = known is not None and known.is_proven
        yield "INSERT INTO covered VALUES (?, ?, ?, ?, ?)", (cadence.sampler, cadence.interval_us, since_us, cadence.first_us, int(is_proven))


def downtime(covered: Mapping[str, Covered], cadences: Sequence[Cadence], *, booted_us: int | None) -> list[Stretch]:
    """What was not sampled since the last run. `booted_us`: when the host was booted, if that was since then, None otherwise.

    The host was down until it was booted, the agent from then on. When the clocks contradict each other, it was the host all the time.
    """
    found: list[Stretch] = []
    for cadence in cadences:
        known = covered.get(cadence.sampler)
        if known is None or not known.is_proven:
            continue
        first_us = _slot_from(known.until_us, cadence)
        turn_us = first_us if booted_us is None else _turn(cadence, first_us, booted_us)
        found += _stretch(cadence, first_us, turn_us, Cause.HOST_DOWN)
        found += _stretch(cadence, turn_us, cadence.first_us, Cause.AGENT_DOWN)
    return found


def _turn(cadence: Cadence, first_us: int, booted_us: int) -> int:
    """The slot from which on the host was running."""
    return _slot_from(booted_us, cadence) if first_us < booted_us < cadence.first_us else cadence.first_us


def _stretch(cadence: Cadence, first_us: int, until_us: int, cause: Cause) -> list[Stretch]:
    slots = (until_us - first_us) // cadence.interval_us
    if slots <= 0:
        return []
    return [Stretch(sampler=cadence.sampler, first_us=first_us, slots=slots, interval_us=cadence.interval_us, cause=cause)]


def _slot_from(at_us: int, cadence: Cadence) -> int:
    """The first slot that is not earlier."""
    return -(-at_us // cadence.interval_us) * cadence.interval_us
