"""The stages between an alert and a message. Each looks at all drafts of an evaluation and returns which it kept and why it dropped the others.

A draft is what one receiver would be told. A dropped draft about something that fires comes again at the next evaluation: a silence that ends, a host
that returns or a window that closes lets it through. Recoveries pass all stages: who was told of a problem is told of its end.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from watchdesk_collector.dispatch.config import DispatchConfig
from watchdesk_collector.incidents import Incident
from watchdesk_collector.ops.outbox import Told
from watchdesk_collector.ops.silences import Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What one receiver would be told: that these incidents fire, or that they are resolved."""

    receiver: str
    told: Told
    incidents: Sequence[Incident]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the stages judge by. `silent_hosts` maps hosts that an alert says are silent to that incident."""

    at: datetime
    silences: Sequence[Silence]
    silent_hosts: Mapping[int, Incident]
    config: DispatchConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A draft that went no further, at which stage and why. The reason stays the same as long as its cause does."""

    draft: Draft
    stage: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a stage made of the drafts it was given."""

    kept: Sequence[Draft]
    dropped: Sequence[Dropped]


Stage: TypeAlias = Callable[[Sequence[Draft], Situation], Verdict]


def inhibited(drafts: Sequence[Draft], situation: Situation) -> Verdict:
    """Of a host that is silent, nothing else is told: its other alerts are only the last that was known."""

    def reason(incident: Incident) -> str | None:
        cause = situation.silent_hosts.get(incident.opening.host_id)
        if cause is None or cause.id == incident.id:
            return None
        return f"{incident.opening.host} is silent (incident {cause.id})"

    return _drop_firing("inhibited", drafts, reason)


def silenced(drafts: Sequence[Draft], situation: Situation) -> Verdict:
    """Somebody asked for quiet with `watchdesk silence`."""

    def reason(incident: Incident) -> str | None:
        for silence in reversed(situation.silences):
            if silence.target.covers(host=incident.opening.host, rule=incident.opening.rule):
                return f"{silence.target} is silenced until {silence.until:%Y-%m-%d %H:%M:%S} UTC"
        return None

    return _drop_firing("silenced", drafts, reason)


def maintenance(drafts: Sequence[Draft], situation: Situation) -> Verdict:
    """The configuration names a time of the week in which this is expected."""

    def reason(incident: Incident) -> str | None:
        for window in situation.config.maintenance:
            if window.covers(host=incident.opening.host, rule=incident.opening.rule, at=situation.at):
                return f"maintenance {window.name!r} until {window.end} {window.timezone}"
        return None

    return _drop_firing("maintenance", drafts, reason)


def grouped(drafts: Sequence[Draft], situation: Situation) -> Verdict:
    """What one receiver would be told at once becomes one draft, worst first; problems and recoveries apart. Drops nothing."""
    groups: dict[tuple[str, Told], list[Incident]] = defaultdict(list)
    for draft in drafts:
        groups[draft.receiver, draft.told] += draft.incidents
    kept = [
        Draft(receiver=receiver, told=told, incidents=sorted(incidents, key=lambda one: (-one.opening.severity.rank, one.id)))
        for (receiver, told), incidents in groups.items()
    ]
    return Verdict(kept=kept, dropped=[])


def due(drafts: Sequence[Draft], situation: Situation) -> Verdict:
    """A draft waits until its oldest incident has waited for `group_wait`."""
    wait = timedelta(seconds=situation.config.group_wait)
    kept, dropped = [], []
    for draft in drafts:
        due_at = min(incident.recorded_at for incident in draft.incidents) + wait
        if draft.told is Told.RESOLVED or due_at <= situation.at:
            kept.append(draft)
        else:
            dropped.append(Dropped(draft=draft, stage="due", reason=f"waits for others until {due_at:%Y-%m-%d %H:%M:%S} UTC"))
    return Verdict(kept=kept, dropped=dropped)


STAGES: tuple[Stage, ...] = (inhibited, silenced, maintenance, grouped, due)


def run_stages(drafts: Sequence[Draft], situation: Situation) -> Verdict:
    """All stages in their order."""
    dropped: list[Dropped] = []
    for stage in STAGES:
        verdict = stage(drafts, situation)
        drafts = verdict.kept
        dropped += verdict.dropped
    return Verdict(kept=drafts, dropped=dropped)


def _drop_firing(stage: str, drafts: Sequence[Draft], reason: Callable[[Incident], str | None]) -> Verdict:
    """Before grouping, when a draft has one incident."""
    kept, dropped = [], []
    for draft in drafts:
        why = reason(draft.incidents[0]) if draft.told is Told.FIRING else None
        if why is None:
            kept.append(draft)
        else:
            dropped.append(Dropped(draft=draft, stage=stage, reason=why))
    return Verdict(kept=kept, dropped=dropped)
