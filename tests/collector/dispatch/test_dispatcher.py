"""From alerts to messages: who is told what, once, and what is written down when nobody is."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from collector.alerting.world import DISK_FULL, OPS, SILENT, START, World
from watchdesk_collector.dispatch import DispatchConfig
from watchdesk_collector.notify.route import Receiver, Route
from watchdesk_collector.ops import alerts, events, silences
from watchdesk_collector.ops.schema import decision, incident
from watchdesk_collector.ops.severity import Severity
from watchdesk_collector.ops.silences import Target

CHAT = Receiver(name="webhook.chat", route=Route())


def said(world: World) -> list[tuple[str, str, list[str]]]:
    """Receiver, as what it was told, and about which hosts, of each message."""
    found = []
    for message in world.messages():
        notification: dict[str, Any] = message["notification"]
        found.append((message["receiver"], notification["told"], [alert["host"] for alert in notification["alerts"]]))
    return found


def decisions(world: World) -> list[tuple[str, str]]:
    with world.ops.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(decision.c.stage, decision.c.reason).order_by(decision.c.id))]


def test_fifty_alerts_of_one_evaluation_are_one_message_for_each_receiver(tmp_path: Path) -> None:
    hosts = [f"host{number:02}" for number in range(60)]
    world = World(tmp_path, DISK_FULL, hosts=hosts, receivers=[OPS, CHAT])
    world.run(120, used=dict.fromkeys(hosts, 0.95))
    assert [(receiver, told, len(shown)) for receiver, told, shown in said(world)] == [("email.ops", "firing", 50), ("webhook.chat", "firing", 50)]
    assert world.messages()[0]["notification"]["more"] == 10
    world.run(40, used=dict.fromkeys(hosts, 0.5))
    assert [told for _, told, _ in said(world)] == ["firing", "firing", "resolved", "resolved"]


def test_a_message_says_what_where_since_when_and_what_to_do(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL, hosts=["web 1"])
    world.run(120, used={"web 1": 0.95})
    (note,) = world.messages()[0]["notification"]["alerts"]
    assert note == {
        "incident_id": 1,
        "rule": "disk-full",
        "severity": "critical",
        "host": "web 1",
        "labels": {"mount": "/", "device": "/dev/sda1", "filesystem": "ext4"},
        "summary": "/ is 95 % full",
        "value": "95 %",
        "condition": "used_ratio > 90%",
        "since": "2026-01-01T12:00:10+00:00",
        "fired_at": "2026-01-01T12:01:10+00:00",
        "resolved_at": None,
        "reason": "",
        "remedy": "Delete something.",
        "runbook": "https://wiki.example.org/disk",
        "page_url": "https://watchdesk.example.org/hosts/web%201",
        "silence_command": "watchdesk silence 'web 1' --for 2h",
    }


def test_a_recovery_answers_the_message_about_the_problem(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    world.run(40, used={"web1": 0.5})
    problem, recovery = world.messages()
    assert recovery["notification"]["answers"] == [problem["idempotency_key"]]
    assert recovery["notification"]["alerts"][0]["reason"] == "used_ratio < 85%"
    assert recovery["idempotency_key"] != problem["idempotency_key"]


def test_receivers_get_what_they_asked_for_and_recoveries_of_that_alone(tmp_path: Path) -> None:
    receivers = [
        Receiver(name="email.critical", route=Route(severity=Severity.CRITICAL)),
        Receiver(name="email.db", route=Route(hosts=("db*",))),
        Receiver(name="email.probes", route=Route(rules=("probe-*",))),
    ]
    world = World(tmp_path, DISK_FULL.replace("critical", "warning"), hosts=["web1", "db1"], receivers=receivers)
    world.run(120, used={"web1": 0.95, "db1": 0.95})
    world.run(40, used={"web1": 0.5, "db1": 0.5})
    assert said(world) == [("email.db", "firing", ["db1"]), ("email.db", "resolved", ["db1"])]


def test_a_silence_keeps_quiet_and_when_it_ends_what_still_fires_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL, hosts=["web1", "web2"])
    silences.add(world.ops, Target(host="web1"), for_s=300, at=world.clock.now())
    world.run(200, used={"web1": 0.95, "web2": 0.95})
    assert said(world) == [("email.ops", "firing", ["web2"])]
    assert decisions(world) == [("silenced", "host web1 is silenced until 2026-01-01 12:05:00 UTC")]
    assert {one.host: one.held for one in alerts.firing(world.ops)} == {"web1": "host web1 is silenced until 2026-01-01 12:05:00 UTC", "web2": ""}
    world.run(110, used={"web1": 0.95, "web2": 0.95})
    assert said(world)[1:] == [("email.ops", "firing", ["web1"])]
    assert {one.held for one in alerts.firing(world.ops)} == {""}


def test_what_fired_and_ended_in_a_silence_is_never_told(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    silences.add(world.ops, Target(rule="disk-full"), for_s=3600, at=world.clock.now())
    world.run(120, used={"web1": 0.95})
    world.run(40, used={"web1": 0.5})
    assert said(world) == []
    assert len(alerts.recent(world.ops, 10)) == 1


def test_a_silence_that_is_taken_back_lets_the_message_through(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    silence = silences.add(world.ops, Target(host="web1"), for_s=3600, at=world.clock.now())
    world.run(120, used={"web1": 0.95})
    assert silences.remove(world.ops, silence.id, at=world.clock.now()) is not None
    world.run(10, used={"web1": 0.95})
    assert said(world) == [("email.ops", "firing", ["web1"])]


def test_who_was_told_of_a_problem_is_told_of_its_end_even_in_a_silence(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    silences.add(world.ops, Target(host="web1"), for_s=3600, at=world.clock.now())
    world.run(40, used={"web1": 0.5})
    assert [told for _, told, _ in said(world)] == ["firing", "resolved"]


def test_of_a_silent_host_only_its_silence_is_told(tmp_path: Path) -> None:
    slow_disk = DISK_FULL.replace('for = "1m"', 'for = "2m"')
    world = World(tmp_path, slow_disk + SILENT)
    world.run(90, used={"web1": 0.95})
    world.run(100, used={"web1": 0.95}, heard=False)
    assert [message["notification"]["alerts"][0]["rule"] for message in world.messages()] == ["host-silent"]
    assert decisions(world) == [("inhibited", "web1 is silent (incident 2)")]
    world.run(20, used={"web1": 0.95})
    assert [(told, len(hosts)) for _, told, hosts in said(world)] == [("firing", 1), ("resolved", 1), ("firing", 1)]


def test_alerts_wait_for_company_when_told_to(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL, hosts=["web1", "web2"], dispatch=DispatchConfig(group_wait=25))
    world.run(10, used={"web1": 0.95})
    world.run(90, used={"web1": 0.95, "web2": 0.95})
    assert said(world) == []
    world.run(20, used={"web1": 0.95, "web2": 0.95})
    assert said(world) == [("email.ops", "firing", ["web1", "web2"])]


def test_a_receiver_that_is_new_is_told_of_what_fires(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL, receivers=[])
    world.run(120, used={"web1": 0.95})
    assert said(world) == []
    world._receivers = [OPS]
    world.restart()
    world.run(10, used={"web1": 0.95})
    assert said(world) == [("email.ops", "firing", ["web1"])]


def test_an_incident_is_opened_and_resolved_with_its_alert_and_keeps_a_timeline(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    for _ in range(2):
        world.run(120, used={"web1": 0.95})
        world.run(40, used={"web1": 0.5})
    with world.ops.connect() as connection:
        rows = connection.execute(sa.select(incident.c.id, incident.c.resolved_at_us)).all()
    assert [(number, end is not None) for number, end in rows] == [(1, True), (2, True)]
    assert [(event.kind, event.message) for event in events.timeline(world.ops, incident_id=1)] == [
        ("alert.firing", "disk-full fires on web1: / is 95 % full"),
        ("alert.resolved", "disk-full is resolved on web1: used_ratio < 85%"),
    ]
    assert [event.incident_id for event in events.recent(world.ops, limit=3, host_id=11)] == [2, 2, 1]


def test_hostile_text_from_a_host_stays_text(tmp_path: Path) -> None:
    rules = """
    [[rule]]
    name = "probe-down"
    measurement = "probe"
    when = "success = 0"
    summary = "{probe}: {error}"
    """
    world = World(tmp_path, rules)
    hostile = "a\r\nBcc: x@example.org\x00\x1b[31m {host} " + "x" * 5000
    for _ in range(4):
        world.clock.advance(10)
        world.store("web1", "probe", [{"probe": "p", "kind": "tcp", "target": "t", "success": 0, "error": hostile}])
        world.hear()
        world.engine.evaluate_once()
    (note,) = world.messages()[0]["notification"]["alerts"]
    assert note["summary"].startswith("p: a Bcc: x@example.org [31m {host} xxx")
    assert len(note["summary"]) == 500


def test_the_gauge_of_firing_alerts_follows(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    assert world.metrics.registry.get_sample_value("watchdesk_alerts_firing", {"severity": "critical"}) == 1
    world.run(40, used={"web1": 0.5})
    assert world.metrics.registry.get_sample_value("watchdesk_alerts_firing", {"severity": "critical"}) == 0
    assert world.clock.now() == START + timedelta(seconds=160)
