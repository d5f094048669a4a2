"""Each stage alone: what it keeps, and in which words it drops the rest."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from watchdesk_collector.dispatch import STAGES, DispatchConfig
from watchdesk_collector.dispatch.config import MaintenanceWindow
from watchdesk_collector.dispatch.stages import Draft, Situation, due, grouped, inhibited, maintenance, run_stages, silenced
from watchdesk_collector.incidents import Incident, Opening
from watchdesk_collector.ops.outbox import Told
from watchdesk_collector.ops.severity import Severity
from watchdesk_collector.ops.silences import Silence, Target

AT = datetime(2026, 1, 3, 23, 30, tzinfo=UTC)  # a Saturday


def incident(
    number: int, *, host: str = "web1", rule: str = "disk-full", severity: Severity = Severity.WARNING, recorded_at: datetime = AT
) -> Incident:
    opening = Opening(
        rule=rule,
        fingerprint=str(number),
        host_id=hash(host),
        host=host,
        labels={},
        severity=severity,
        summary="s",
        since=AT,
        fired_at=AT,
        value=1.0,
    )
    return Incident(id=number, opening=opening, recorded_at=recorded_at)


def draft(*incidents: Incident, receiver: str = "email.ops", told: Told = Told.FIRING) -> Draft:
    return Draft(receiver=receiver, told=told, incidents=incidents)


def situation(
    *, silences: Sequence[Silence] = (), silent_hosts: Mapping[int, Incident] | None = None, config: DispatchConfig | None = None
) -> Situation:
    return Situation(at=AT, silences=silences, silent_hosts=silent_hosts or {}, config=config or DispatchConfig())


def silence(number: int, *, host: str | None = None, rule: str | None = None, hours: int = 1) -> Silence:
    return Silence(id=number, target=Target(host=host, rule=rule), comment="", created_at=AT, until=AT + timedelta(hours=hours))


def test_the_stages_are_these_in_this_order() -> None:
    assert [stage.__name__ for stage in STAGES] == ["inhibited", "silenced", "maintenance", "grouped", "due"]


def test_a_silent_host_inhibits_its_other_alerts_but_not_its_own_silence() -> None:
    silent, disk, other = incident(1, rule="host-silent"), incident(2), incident(3, host="web2")
    verdict = inhibited([draft(silent), draft(disk), draft(other)], situation(silent_hosts={silent.opening.host_id: silent}))
    assert [one.incidents[0].id for one in verdict.kept] == [1, 3]
    assert [(one.draft.incidents[0].id, one.stage, one.reason) for one in verdict.dropped] == [(2, "inhibited", "web1 is silent (incident 1)")]


@pytest.mark.parametrize(
    ("target", "is_silenced"),
    [
        (("web1", None), True),
        ((None, "disk-full"), True),
        (("web1", "disk-full"), True),
        (("web1", "probe-down"), False),
        (("web2", None), False),
        ((None, "probe-down"), False),
    ],
)
def test_a_silence_holds_back_what_it_names(target: tuple[str | None, str | None], is_silenced: bool) -> None:
    verdict = silenced([draft(incident(1))], situation(silences=[silence(1, host=target[0], rule=target[1])]))
    assert bool(verdict.dropped) is is_silenced


def test_the_reason_names_the_silence_that_lasts_longest() -> None:
    verdict = silenced([draft(incident(1))], situation(silences=[silence(1, rule="disk-full", hours=1), silence(2, host="web1", hours=2)]))
    assert [one.reason for one in verdict.dropped] == ["host web1 is silenced until 2026-01-04 01:30:00 UTC"]


def test_a_maintenance_window_holds_back_what_it_names() -> None:
    window = MaintenanceWindow(name="backup", hosts=("web*",), rules=("disk-*",), start="23:00", end="02:00", days=("sat",))
    drafts = [draft(incident(1)), draft(incident(2, host="db1")), draft(incident(3, rule="probe-down"))]
    verdict = maintenance(drafts, situation(config=DispatchConfig(maintenance=(window,))))
    assert [one.incidents[0].id for one in verdict.kept] == [2, 3]
    assert [one.reason for one in verdict.dropped] == ["maintenance 'backup' until 02:00 UTC"]


@pytest.mark.parametrize(
    ("start", "end", "days", "timezone", "at", "is_on"),
    [
        ("23:00", "02:00", ("sat",), "UTC", "2026-01-03T22:59:59", False),
        ("23:00", "02:00", ("sat",), "UTC", "2026-01-03T23:00:00", True),
        ("23:00", "02:00", ("sat",), "UTC", "2026-01-04T01:59:59", True),
        ("23:00", "02:00", ("sat",), "UTC", "2026-01-04T02:00:00", False),
        ("23:00", "02:00", ("sat",), "UTC", "2026-01-04T23:30:00", False),
        ("08:00", "09:00", ("sun",), "UTC", "2026-01-04T08:30:00", True),
        ("08:00", "09:00", ("sun",), "UTC", "2026-01-03T08:30:00", False),
        ("01:00", "02:00", ("mon",), "Europe/Berlin", "2026-07-05T23:30:00", True),
        ("01:00", "02:00", ("mon",), "Europe/Berlin", "2026-01-05T00:30:00", True),
        ("01:00", "02:00", ("mon",), "Europe/Berlin", "2026-01-05T01:30:00", False),
    ],
)
def test_a_window_is_on_in_its_own_time_zone_on_the_days_it_begins(
    start: str, end: str, days: tuple[str, ...], timezone: str, at: str, is_on: bool
) -> None:
    window = MaintenanceWindow(name="w", start=start, end=end, days=days, timezone=timezone)
    assert window.covers(host="web1", rule="r", at=datetime.fromisoformat(at).replace(tzinfo=UTC)) is is_on


def test_what_one_receiver_would_be_told_becomes_one_draft_worst_first() -> None:
    drafts = [
        draft(incident(1)),
        draft(incident(2, severity=Severity.CRITICAL)),
        draft(incident(1), receiver="webhook.chat"),
        draft(incident(3), told=Told.RESOLVED),
    ]
    verdict = grouped(drafts, situation())
    assert [(one.receiver, one.told, [each.id for each in one.incidents]) for one in verdict.kept] == [
        ("email.ops", "firing", [2, 1]),
        ("webhook.chat", "firing", [1]),
        ("email.ops", "resolved", [3]),
    ]
    assert verdict.dropped == []


def test_a_draft_waits_for_others_as_long_as_its_oldest_alert_has_not_waited() -> None:
    config = DispatchConfig(group_wait=30)
    fresh, waited = incident(1), incident(2, recorded_at=AT - timedelta(seconds=30))
    assert [one.reason for one in due([draft(fresh)], situation(config=config)).dropped] == ["waits for others until 2026-01-03 23:30:30 UTC"]
    assert due([draft(fresh, waited)], situation(config=config)).dropped == []
    assert due([draft(fresh, told=Told.RESOLVED)], situation(config=config)).dropped == []


def test_recoveries_pass_every_stage() -> None:
    silent = incident(9, rule="host-silent")
    hostile = situation(
        silences=[silence(1, host="web1")],
        silent_hosts={silent.opening.host_id: silent},
        config=DispatchConfig(group_wait=600, maintenance=(MaintenanceWindow(name="w", start="00:00", end="23:59"),)),
    )
    verdict = run_stages([draft(incident(1), told=Told.RESOLVED), draft(incident(2))], hostile)
    assert [one.told for one in verdict.kept] == ["resolved"]
    assert [one.stage for one in verdict.dropped] == ["inhibited"]
