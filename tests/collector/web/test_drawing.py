from datetime import UTC, datetime, timedelta

import pytest
from watchdesk_collector.web.drawing import Run, SlotState, axis_for, bar, draw, round_up, spark
from watchdesk_collector.web.panels import CPU, DISK, DISK_IO, LOAD, Unit
from watchdesk_collector.web.queries import Row, Slots
from watchdesk_collector.web.series import build_chart

SLOTS = Slots(since=datetime(2026, 11, 20, tzinfo=UTC), width=timedelta(seconds=15), count=6)


def cpu_row(slot: int, user: float, system: float) -> Row:
    return {"slot": slot, "user": user, "system": system, "irq": None, "iowait": 0.0, "steal": None, "peak": 0.9}


def test_a_spark_is_interrupted_where_values_are_missing() -> None:
    assert spark([0.0, 0.5, None, 1.0]) == "M0 24h0l1 -12M3 0h0"
    assert spark([None, None]) == ""
    assert spark([2.0, -1.0]) == "M0 0h0l1 24"


def test_neighbouring_slots_in_one_state_become_one_run() -> None:
    states = [SlotState.NO_DATA, SlotState.UP, SlotState.UP, SlotState.DOWN]
    assert bar(states) == (
        Run(state=SlotState.NO_DATA, start=0, length=1),
        Run(state=SlotState.UP, start=1, length=2),
        Run(state=SlotState.DOWN, start=3, length=1),
    )


@pytest.mark.parametrize(
    ("value", "unit", "top"),
    [
        (0, Unit.NUMBER, 1.0),
        (0.9, Unit.NUMBER, 1.0),
        (3.1, Unit.NUMBER, 4.0),
        (1000, Unit.BYTES, 1024.0),
        (3 * 2**20, Unit.BYTES, 3 * 2**20),
        (3.5 * 2**20, Unit.BYTES, 2**22),
        (16 * 2**30, Unit.BYTES, 16 * 2**30),
    ],
)
def test_an_axis_ends_at_a_round_number_above_the_values(value: float, unit: Unit, top: float) -> None:
    assert round_up(value, unit) == top


def test_areas_stand_on_each_other_and_a_slot_without_samples_is_a_gap() -> None:
    chart = build_chart(CPU, [cpu_row(0, 0.2, 0.1), cpu_row(1, 0.4, 0.1), cpu_row(4, 0.2, 0.1), cpu_row(5, 0.2, 0.1)], SLOTS)
    user, system, *_ = draw(chart).strokes
    assert user.path == "M0 80L1 60L1 100L0 100ZM4 80L5 80L5 100L4 100Z"
    assert system.path == "M0 70L1 50L1 60L0 80ZM4 70L5 70L5 80L4 80Z"


def test_a_lone_value_is_a_dot_and_a_band_needs_two() -> None:
    row = {"slot": 2, "load1": 1.0, "load1_low": 0.5, "load1_high": 2.0, "load15": 1.0, "cpus": 2}
    strokes = draw(build_chart(LOAD, [row], SLOTS)).strokes
    assert [(stroke.kind, stroke.path) for stroke in strokes if stroke.colour == 0] == [("band", ""), ("line", "M2 50h0")]


def test_traffic_in_the_other_direction_is_drawn_below_zero() -> None:
    rows = [{"slot": slot, "part": "sda", "read": 512.0, "written": 1024.0} for slot in (0, 1)]
    chart = build_chart(DISK_IO, rows, SLOTS)
    assert axis_for(chart).low == -axis_for(chart).high == -1024.0
    assert [stroke.path for stroke in draw(chart).strokes] == ["M0 25L1 25", "M0 100L1 100"]
    assert {series.colour for series in chart.series} == {0}


def test_shares_always_span_nothing_to_all() -> None:
    chart = build_chart(DISK, [{"slot": 0, "part": "/", "used": 0.02}], SLOTS)
    assert (axis_for(chart).low, axis_for(chart).high) == (0.0, 1.0)
