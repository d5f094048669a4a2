"""Silences are rows: they hold over restarts, and end by themselves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from watchdesk_collector.ops import events, silences
from watchdesk_collector.ops.database import open_ops
from watchdesk_collector.ops.silences import Target, UnknownTarget, target_named

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_silence_holds_until_its_time_over_a_restart(tmp_path: Path) -> None:
    added = silences.add(open_ops(tmp_path / "ops.db"), Target(host="web1"), for_s=7200, comment="disk swap", at=AT)
    engine = open_ops(tmp_path / "ops.db")
    assert silences.active(engine, at=AT) == [added]
    assert silences.active(engine, at=AT + timedelta(seconds=7199)) == [added]
    assert silences.active(engine, at=AT + timedelta(seconds=7200)) == []


def test_a_silence_is_ended_early_once(tmp_path: Path) -> None:
    engine = open_ops(tmp_path / "ops.db")
    added = silences.add(engine, Target(rule="disk-full"), for_s=7200, at=AT)
    assert silences.remove(engine, added.id, at=AT) == added
    assert silences.active(engine, at=AT) == []
    assert silences.remove(engine, added.id, at=AT) is None
    assert silences.remove(engine, 99, at=AT) is None


def test_those_that_end_first_come_first(tmp_path: Path) -> None:
    engine = open_ops(tmp_path / "ops.db")
    for for_s in (300, 100, 200):
        silences.add(engine, Target(host="web1"), for_s=for_s, at=AT)
    assert [(one.until - AT).total_seconds() for one in silences.active(engine, at=AT)] == [100, 200, 300]


def test_silences_are_events(tmp_path: Path) -> None:
    engine = open_ops(tmp_path / "ops.db")
    added = silences.add(engine, Target(host="web1", rule="disk-full"), for_s=60, at=AT)
    silences.remove(engine, added.id, at=AT)
    assert [event.message for event in events.recent(engine, limit=9)] == [
        "the silence of host web1, rule disk-full was ended early",
        "host web1, rule disk-full is silenced until 2026-01-01 12:01:00 UTC",
    ]


@pytest.mark.parametrize(("target", "for_s"), [(Target(), 60), (Target(host="web1"), 0)])
def test_a_silence_names_something_and_lasts(tmp_path: Path, target: Target, for_s: float) -> None:
    with pytest.raises(ValueError, match="names a host or a rule and lasts"):
        silences.add(open_ops(tmp_path / "ops.db"), target, for_s=for_s, at=AT)


def test_a_name_is_a_host_or_a_rule_or_a_question() -> None:
    hosts, rules = ["web1", "both"], ["disk-full", "both"]
    assert target_named("web1", hosts=hosts, rules=rules) == Target(host="web1")
    assert target_named("disk-full", hosts=hosts, rules=rules) == Target(rule="disk-full")
    assert target_named("both", hosts=hosts, rules=rules) == Target(host="both")
    with pytest.raises(UnknownTarget, match="neither a host nor a rule 'disk-ful'; did you mean 'disk-full'"):
        target_named("disk-ful", hosts=hosts, rules=rules)
    with pytest.raises(UnknownTarget, match="see `watchdesk hosts list`"):
        target_named("???", hosts=hosts, rules=rules)
