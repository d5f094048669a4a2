"""The scenarios as tests: each is a script of its own beside this file, and prints what it found."""

import alerts
import crashes
import gaps
import hostile
import outage
import pytest
import restored

pytestmark = pytest.mark.timeout(1800)


def test_history_is_whole_after_the_collector_was_away(full: bool) -> None:
    assert not outage.run(300 if full else 40).broken


def test_kill_9_loses_nothing_that_was_acked_and_doubles_nothing(full: bool) -> None:
    assert not crashes.run(20 if full else 3).broken


def test_hostile_queries_are_refused_or_die_and_acks_go_on(full: bool) -> None:
    assert not hostile.run(60 if full else 10, deadline_s=30 if full else 5).broken


def test_every_slot_without_a_sample_stands_in_a_gap_with_its_cause(full: bool) -> None:
    assert not gaps.run(300 if full else 15, down_s=8 if full else 5).broken


def test_a_restored_state_directory_loses_no_log_line_and_doubles_none(full: bool) -> None:
    assert not restored.run(10 if full else 3).broken


def test_alert_and_recovery_arrive_once_even_if_the_collector_is_killed_on_the_way() -> None:
    assert not alerts.run().broken
