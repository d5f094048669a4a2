from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from collector.web.serving import NOW
from watchdesk_collector.clock import to_us
from watchdesk_collector.model import Host
from watchdesk_collector.ops.alerts import Alert
from watchdesk_collector.ops.severity import Severity
from watchdesk_collector.ops.states import AlertState
from watchdesk_collector.web.drawing import SlotState
from watchdesk_collector.web.queries import Row, slots_up_to
from watchdesk_collector.web.status import MAX_ALERTS, MAX_PROBES, HostState, ProbeState, StatusReadings, Trends, build_status, slot_states

GRID = slots_up_to(NOW, width=timedelta(minutes=30), count=48)


def host(name: str, *, host_id: int = 1, silent_for_s: float = 2) -> Host:
    return Host(
        host_id=host_id,
        agent_id=name,
        name=name,
        first_seen_at=NOW - timedelta(days=1),
        last_seen_at=NOW - timedelta(seconds=silent_for_s),
        boot_id="boot",
        agent_version="0.1.0",
        clock_offset_s=0.0,
        connected=True,
    )


def alert(*, host_id: int = 1, severity: Severity = Severity.CRITICAL, rule: str = "disk-nearly-full", incident_id: int = 1) -> Alert:
    return Alert(
        incident_id=incident_id,
        rule=rule,
        severity=severity,
        host=f"host-{host_id}",
        host_id=host_id,
        labels={},
        state=AlertState.FIRING,
        value=1.0,
        summary="it is full",
        since=NOW,
        fired_at=NOW,
        resolved_at=None,
        reason="",
        held="",
    )


def probe(name: str = "ssh", *, host_id: int = 1, success: int = 1, age_s: float = 5, attempts: int = 60, every_s: float = 60) -> Row:
    last_us = to_us(NOW - timedelta(seconds=age_s))
    return {
        "host_id": host_id,
        "probe": name,
        "kind": "tcp",
        "target": "host:22",
        "attempts": attempts,
        "first_at_us": last_us - round((attempts - 1) * every_s * 1_000_000),
        "last_at_us": last_us,
        "success": success,
        "error": "" if success else "connection refused",
        "latency_seconds": 0.02,
        "certificate_expires_seconds": None,
    }


def readings(
    *, hosts: Sequence[Host] = (), firing: Sequence[Alert] = (), probes: Sequence[Row] = (), slots: Sequence[Row] = (), **trends: Any
) -> StatusReadings:
    return StatusReadings(
        at=NOW,
        hosts=hosts,
        firing=firing,
        recent=(),
        trends=Trends(cpu=trends.get("cpu", {}), memory=trends.get("memory", {}), disk=trends.get("disk", {})),
        probes=probes,
        probe_slots=slots,
        probe_grid=GRID,
        silent_after_s=60,
        notice="",
    )


@pytest.mark.parametrize(
    ("silent_for_s", "severities", "state"),
    [
        (2, [], HostState.UP),
        (60, [], HostState.UP),
        (61, [], HostState.SILENT),
        (2, [Severity.INFO], HostState.UP),
        (2, [Severity.WARNING], HostState.WARNING),
        (2, [Severity.CRITICAL, Severity.WARNING], HostState.CRITICAL),
        (61, [Severity.CRITICAL], HostState.SILENT),
    ],
)
def test_a_host_is_as_bad_as_its_worst_alert_unless_it_is_silent(silent_for_s: float, severities: list[Severity], state: HostState) -> None:
    view = build_status(readings(hosts=[host("web-1", silent_for_s=silent_for_s)], firing=[alert(severity=one) for one in severities]))
    assert view.hosts[0].state is state


def test_hosts_are_sorted_worst_first_then_by_name() -> None:
    hosts = [host("a", host_id=1), host("b", host_id=2), host("c", host_id=3, silent_for_s=600), host("d", host_id=4), host("e", host_id=5)]
    firing = [alert(host_id=4), alert(host_id=5, severity=Severity.WARNING)]
    view = build_status(readings(hosts=hosts, firing=firing))
    assert [row.name for row in view.hosts] == ["d", "c", "e", "a", "b"]


def test_a_clock_that_is_off_is_told_beside_whatever_else_is_wrong() -> None:
    off = replace(host("web-1"), clock_offset_s=-7.0, clock_is_off=True)
    (row,) = build_status(readings(hosts=[off], firing=[alert(severity=Severity.WARNING)])).hosts
    assert (row.reason, row.clock) == ("disk-nearly-full", "clock 7 s behind")
    assert build_status(readings(hosts=[host("web-1")])).hosts[0].clock == ""


def test_a_host_says_why_in_the_name_of_its_worst_rule() -> None:
    firing = [alert(rule="disk-nearly-full"), alert(rule="io-stalls", severity=Severity.WARNING)]
    view = build_status(readings(hosts=[host("web-1")], firing=firing))
    assert view.hosts[0].reason == "disk-nearly-full and 1 more"


@pytest.mark.parametrize(
    ("hosts", "probes", "text", "detail", "state"),
    [
        ([], [], "No host yet", "", HostState.UP),
        ([host("a")], [], "Everything is up", "1 host", HostState.UP),
        ([host("a"), host("b", host_id=2)], [probe()], "Everything is up", "2 hosts, 1 probe", HostState.UP),
        ([host("a")], [probe(success=0)], "1 probe is down", "1 host up", HostState.WARNING),
        ([host("a")], [probe(success=0), probe("web", success=0)], "2 probes are down", "1 host up", HostState.WARNING),
        ([host("a", silent_for_s=90)], [probe(success=0)], "1 of 1 host needs attention", "1 silent, 1 probe down", HostState.SILENT),
    ],
)
def test_the_headline_says_the_overall_state(hosts: list[Host], probes: list[Row], text: str, detail: str, state: HostState) -> None:
    headline = build_status(readings(hosts=hosts, probes=probes)).headline
    assert (headline.text, headline.detail, headline.state) == (text, detail, state)


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (probe(), ProbeState.UP),
        (probe(success=0), ProbeState.DOWN),
        (probe(age_s=179), ProbeState.UP),
        (probe(age_s=181), ProbeState.NO_DATA),
        (probe(success=0, age_s=181), ProbeState.NO_DATA),
        (probe(every_s=1, age_s=100), ProbeState.UP),  # a busy agent may be late for two minutes
        (probe(every_s=900, attempts=3, age_s=1200), ProbeState.UP),
        (probe(attempts=1, age_s=3000), ProbeState.UP),  # the pace of a single attempt is not known
    ],
)
def test_a_probe_that_missed_three_turns_has_no_data(row: Row, state: ProbeState) -> None:
    assert build_status(readings(hosts=[host("a")], probes=[row])).probes[0].state is state


def test_a_probe_known_only_from_yesterday_has_no_data_but_its_bar() -> None:
    slots = [{"host_id": 1, "probe": "ssh", "slot": 0, "attempts": 10, "successes": 9}]
    [row] = build_status(readings(hosts=[host("a")], slots=slots)).probes
    assert (row.state, row.uptime, row.bar[0].state, row.bar[1].state) == (ProbeState.NO_DATA, 0.9, SlotState.PARTIAL, SlotState.NO_DATA)


def test_probes_of_removed_hosts_are_not_shown() -> None:
    assert build_status(readings(hosts=[host("a")], probes=[probe(host_id=99)])).probes == ()


def test_a_slot_without_attempts_is_no_data_and_never_up() -> None:
    rows = [{"slot": 0, "attempts": 5, "successes": 5}, {"slot": 2, "attempts": 5, "successes": 0}, {"slot": 48, "attempts": 5, "successes": 5}]
    assert slot_states(rows, GRID)[:4] == [SlotState.UP, SlotState.NO_DATA, SlotState.DOWN, SlotState.NO_DATA]


def test_an_old_value_is_not_shown_as_the_current_one() -> None:
    view = build_status(readings(hosts=[host("a")], cpu={1: [0.5, 0.5, None, None]}, memory={1: [None, None, 0.4, None]}))
    assert (view.hosts[0].cpu.latest, view.hosts[0].memory.latest, view.hosts[0].disk.latest) == (None, 0.4, None)


def test_there_is_room_for_every_probe_that_is_not_up() -> None:
    probes = [probe(f"down-{index}", success=0) for index in range(MAX_PROBES + 5)] + [probe(f"up-{index}") for index in range(5)]
    view = build_status(readings(hosts=[host("a")], probes=probes))
    assert len(view.probes) == MAX_PROBES + 10
    assert [row.state for row in view.shown_probes] == [ProbeState.DOWN] * (MAX_PROBES + 5)


def test_a_storm_of_alerts_does_not_bury_the_page() -> None:
    view = build_status(readings(hosts=[host("a")], firing=[alert(incident_id=number) for number in range(500)]))
    assert (len(view.firing), len(view.shown_firing)) == (500, MAX_ALERTS)
