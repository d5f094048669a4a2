"""Rules over real history: alerts fire, stay, end, and survive restarts."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from collector.alerting.world import DISK_FULL, SILENT, START, Value, World, states
from sqlalchemy.engine.interfaces import DBAPIConnection
from watchdesk_collector.alerting.engine import Change
from watchdesk_collector.history import QueryError
from watchdesk_collector.ops import alerts
from watchdesk_collector.ops.schema import alert, outbox, rule_cursor, transition

FULL: dict[str, Value] = {"mount": "/", "device": "/dev/sda1", "filesystem": "ext4", "used_ratio": 0.99}


def test_alert_fires_only_after_the_condition_held_for_the_whole_period(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(50, used={"web1": 0.95})
    world.run(10, used={"web1": 0.80})
    world.run(60, used={"web1": 0.95})
    assert [to for _, to, _ in world.transitions()] == ["pending", "inactive", "pending"]
    world.run(30, used={"web1": 0.95})
    assert world.transitions()[-2:] == [("inactive", "pending", 70), ("pending", "firing", 130)]


def test_alert_stays_between_its_two_levels_and_ends_below_the_lower(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    assert world.run(100, used={"web1": 0.88}) == []
    assert [one.value for one in alerts.firing(world.ops)] == [0.88]
    assert states(world.run(30, used={"web1": 0.80})) == ["resolved"]
    assert alerts.firing(world.ops) == []
    assert [(one.reason, one.value) for one in alerts.recent(world.ops, 10)] == [("used_ratio < 85%", 0.80)]


def test_each_series_has_an_alert_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL, hosts=["web1", "web2"])
    for _ in range(12):
        world.clock.advance(10)
        world.disk("web1", 0.95, mount="/var")
        world.disk("web1", 0.50, mount="/")
        world.disk("web2", 0.99, mount="/")
        world.hear()
        world.engine.evaluate_once()
    assert sorted((one.host, one.labels["mount"], one.summary) for one in alerts.firing(world.ops)) == [
        ("web1", "/var", "/var is 95 % full"),
        ("web2", "/", "/ is 99 % full"),
    ]


def test_quiet_series_leave_no_state_behind(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(60, used={"web1": 0.5})
    with world.ops.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(alert)).scalar() == 0
        assert connection.execute(sa.select(rule_cursor.c.rule)).scalars().all() == ["disk-full"]


def test_evaluating_again_what_was_evaluated_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    before = world.transitions()
    assert world.engine.evaluate_once() == []
    world.clock.step(-60)
    assert world.engine.evaluate_once() == []
    assert world.transitions() == before


def test_samples_that_arrive_behind_the_cursor_do_not_move_alerts(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(200, used={"web1": 0.5})
    late = [START + timedelta(seconds=second) for second in range(10, 150)]
    world.store("web1", "disk", [FULL] * len(late), at=late)
    assert world.run(30, used={"web1": 0.5}) == []


@pytest.mark.parametrize("restart_every", [1, 3, 7])
def test_a_restart_at_any_time_repeats_nothing_and_loses_nothing(tmp_path: Path, restart_every: int) -> None:
    story = [0.5, 0.95, 0.96, 0.97, 0.95, 0.95, 0.95, 0.95, 0.95, 0.88, 0.87, 0.8, 0.8, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.5, 0.5]

    def tell(folder: Path, restart_every: int | None) -> tuple[Sequence[object], Sequence[object]]:
        folder.mkdir()
        world = World(folder, DISK_FULL)
        for number, ratio in enumerate([*story, 0.5, 0.5]):
            world.run(10, used={"web1": ratio})
            if restart_every and number % restart_every == 0:
                world.restart()
        return world.transitions(), [(row["idempotency_key"], row["receiver"]) for row in world.messages()]

    undisturbed = tell(tmp_path / "a", None)
    assert len(undisturbed[1]) == 4
    assert tell(tmp_path / "b", restart_every) == undisturbed


def test_an_evaluation_that_cannot_be_recorded_leaves_no_trace_and_is_made_up_for(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(80, used={"web1": 0.95})
    before = world.transitions()
    with world.ops.begin() as connection:
        connection.exec_driver_sql("CREATE TRIGGER no_outbox BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    for _ in range(2):
        world.clock.advance(10)
        world.disk("web1", 0.95)
        with pytest.raises(sa.exc.IntegrityError, match="disk is full"):
            world.engine.evaluate_once()
    assert world.transitions() == before
    assert alerts.firing(world.ops) == []
    with world.ops.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER no_outbox")
    assert states(world.run(10, used={"web1": 0.95})) == ["firing"]
    assert len(world.messages()) == 1


async def test_a_full_disk_is_told_survived_and_made_up_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"host{number}" for number in range(100)]
    world = World(tmp_path, DISK_FULL, hosts=names)
    world.run(20, used=dict.fromkeys(names, 0.95))

    def fill(connection: DBAPIConnection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite makes it the present size

    world.ops.dispose()
    sa.event.listen(world.ops, "connect", fill)
    world.clock.advance(80)
    for name in names:
        world.disk(name, 0.95)
    world.clock.advance(20)
    running = asyncio.create_task(world.engine.run())
    async with asyncio.timeout(60):
        while "database or disk is full" not in caplog.text:  # noqa: ASYNC110 a log record is no event
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.messages() == []

    sa.event.remove(world.ops, "connect", fill)
    world.ops.dispose()
    assert states(world.engine.evaluate_once()).count("firing") == 100
    assert len(world.messages()) == 1


def test_an_alert_without_samples_ends_once_its_host_has_been_there_without_them(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    assert world.run(580) == []
    assert states(world.run(60)) == ["resolved"]
    assert [one.reason for one in alerts.recent(world.ops, 1)] == ["no data for 10m"]


def test_an_alert_of_a_host_that_is_gone_neither_ends_nor_flaps(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL + SILENT)
    world.run(120, used={"web1": 0.95})
    world.run(900, heard=False)
    assert [one.rule for one in alerts.firing(world.ops)] == ["host-silent", "disk-full"]
    world.run(120, used={"web1": 0.95})
    assert [one.rule for one in alerts.firing(world.ops)] == ["disk-full"]


def test_alerts_of_a_removed_host_end(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL + SILENT, hosts=["web1", "web2"])
    world.run(120, used={"web1": 0.95})
    world.run(90, heard=False)
    assert len(alerts.firing(world.ops)) == 3
    del world.hosts["web1"]
    world.run(10, heard=False)
    assert [(one.host, one.rule) for one in alerts.firing(world.ops)] == [("web2", "host-silent")]
    assert {one.reason for one in alerts.recent(world.ops, 10)} == {"the host is not watched any more"}


def test_alerts_of_a_rule_that_was_taken_out_end(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    world.restart(rules=SILENT)
    assert states(world.run(10, used={"web1": 0.95})) == ["resolved"]
    assert [one.reason for one in alerts.recent(world.ops, 1)] == ["the rule is gone"]
    assert world.run(10, used={"web1": 0.95}) == []


def test_a_silent_host_fires_when_it_has_not_been_heard_and_ends_when_it_is(tmp_path: Path) -> None:
    world = World(tmp_path, SILENT, hosts=["web1", "web2"])
    world.run(60)
    for _ in range(7):
        world.clock.advance(10)
        world.hear("web2")
        world.engine.evaluate_once()
    (one,) = alerts.firing(world.ops)
    assert (one.host, one.summary) == ("web1", "web1 is silent: last heard 2026-01-01 12:01:00 UTC")
    assert one.since == START + timedelta(seconds=120)
    assert states(world.run(10)) == ["resolved"]


def test_a_collector_that_was_down_accuses_nobody_when_it_returns(tmp_path: Path) -> None:
    world = World(tmp_path, SILENT)
    world.run(60)
    world.clock.advance(3600)
    world.restart()
    assert world.run(50, heard=False) == []
    assert states(world.run(20, heard=False)) == ["firing"]
    assert "not once since the collector is back, at 13:01:00 UTC" in alerts.firing(world.ops)[0].summary


def test_a_machine_that_stood_still_accuses_nobody_when_it_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, SILENT)
    world.run(60)
    world.clock.advance(3600)
    assert world.run(60, heard=False) == []
    assert states(world.run(10, heard=False)) == ["firing"]


def test_a_clock_that_was_far_ahead_and_is_set_right_leaves_no_rule_blind(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL + SILENT)
    world.run(60, used={"web1": 0.5})
    world.clock.step(86400)
    world.run(60, used={"web1": 0.5})
    world.clock.step(-86400)
    assert sorted(states(world.run(120, used={"web1": 0.95}))) == ["firing", "pending"]


def test_a_silent_host_stays_silent_over_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path, SILENT)
    world.run(90, heard=False)
    world.restart()
    assert world.run(120, heard=False) == []
    assert len(alerts.firing(world.ops)) == 1


def test_a_host_whose_clock_is_behind_is_alerted_on_in_the_collectors_time(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.hosts["web1"] = replace(world.hosts["web1"], clock_offset_s=-600.0)
    changes: list[Change] = []
    for _ in range(12):
        world.clock.advance(10)
        world.store("web1", "disk", [FULL], at=[world.clock.now() - timedelta(seconds=600)])
        world.hear()
        changes += world.engine.evaluate_once()
    assert states(changes) == ["pending", "firing"]
    assert world.transitions()[-1][2] == 70


def test_after_a_long_downtime_alerts_go_on_where_they_were(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    world.clock.advance(5 * 3600)
    world.restart()
    assert world.run(60, used={"web1": 0.95}) == []
    assert len(world.messages()) == 1
    assert states(world.run(40, used={"web1": 0.5})) == ["resolved"]


def test_what_fired_and_ended_while_nobody_watched_is_recorded_but_told_to_nobody(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(60, used={"web1": 0.5})
    for ratio in [0.95] * 10 + [0.5] * 10:
        world.clock.advance(10)
        world.disk("web1", ratio)
    world.hear()
    assert states(world.engine.evaluate_once()) == ["pending", "firing", "resolved"]
    assert world.messages() == []


def test_a_new_rule_fires_on_what_has_lasted_already(tmp_path: Path) -> None:
    world = World(tmp_path, SILENT)
    world.run(120, used={"web1": 0.95})
    world.restart(rules=SILENT + DISK_FULL)
    assert states(world.run(10, used={"web1": 0.95})) == ["pending", "firing"]


def test_a_rule_whose_query_fails_waits_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, DISK_FULL + SILENT)
    world.run(30, used={"web1": 0.95})
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise QueryError("out of memory")

        broken.setattr(world.history, "query", fail)
        assert states(world.run(70, used={"web1": 0.95}, heard=False)) == ["firing"]
    assert world.metrics.registry.get_sample_value("watchdesk_alerting_evaluation_failures_total", {"rule": "disk-full"}) == 7
    assert sorted(states(world.run(10, used={"web1": 0.95}))) == ["firing", "resolved"]


def test_windows_are_judged_whole_and_once(tmp_path: Path) -> None:
    rules = """
    [[rule]]
    name = "cpu-busy"
    measurement = "cpu"
    over = "1m"
    when = "avg(busy_ratio) > 90%"
    clear = "avg(busy_ratio) < 50%"
    summary = "busy: {value}"
    """
    world = World(tmp_path, rules)
    for second in range(10, 310, 10):
        world.clock.advance(10)
        world.store("web1", "cpu", [{"busy_ratio": 1.0 if 60 < second <= 120 else 0.0}])
        world.hear()
        world.engine.evaluate_once()
    assert world.transitions() == [("inactive", "firing", 120), ("firing", "resolved", 180)]


def test_an_increase_counts_over_window_borders_and_restarts_of_the_counter(tmp_path: Path) -> None:
    rules = """
    [[rule]]
    name = "oom-kill"
    measurement = "memory"
    over = "1m"
    when = "increase(oom_kills_total) > 0"
    summary = "{value} killed"
    """
    world = World(tmp_path, rules)
    for second in range(10, 400, 10):
        world.clock.advance(10)
        kills = 5 if second <= 120 else 6 if second <= 250 else 2
        world.store("web1", "memory", [{"oom_kills_total": kills}])
        world.hear()
        world.engine.evaluate_once()
    assert world.transitions() == [("inactive", "firing", 180), ("firing", "resolved", 240), ("inactive", "firing", 300), ("firing", "resolved", 360)]
    assert [one.summary for one in alerts.recent(world.ops, 2)] == ["2 killed", "1 killed"]


def test_the_summary_quotes_the_text_of_the_sample_that_fired(tmp_path: Path) -> None:
    rules = """
    [[rule]]
    name = "probe-down"
    measurement = "probe"
    when = "success = 0"
    for = "2 samples"
    summary = "{probe}: {error}"
    """
    world = World(tmp_path, rules)
    for success, error in [(1, None), (0, "refused"), (0, "timed out"), (0, "timed out"), (1, None), (1, None)]:
        world.clock.advance(10)
        world.store("web1", "probe", [{"probe": "shop", "kind": "http", "target": "http://x", "success": success, "error": error}])
        world.hear()
        world.engine.evaluate_once()
    assert [to for _, to, _ in world.transitions()] == ["pending", "firing"]
    assert [one.summary for one in alerts.firing(world.ops)] == ["shop: timed out"]


def test_a_null_neither_fires_nor_clears(tmp_path: Path) -> None:
    world = World(tmp_path, DISK_FULL)
    world.run(120, used={"web1": 0.95})
    for _ in range(6):
        world.clock.advance(10)
        world.disk("web1", None)
        world.hear()
        assert world.engine.evaluate_once() == []
    assert len(alerts.firing(world.ops)) == 1


def test_every_transition_of_many_hosts_is_in_one_transaction(tmp_path: Path) -> None:
    names = [f"host{number}" for number in range(20)]
    world = World(tmp_path, DISK_FULL, hosts=names)
    world.run(120, used=dict.fromkeys(names, 0.95))
    with world.ops.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).where(transition.c.to_state == "firing")).scalar() == 20
        assert connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar() == 1
