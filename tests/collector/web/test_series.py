from datetime import UTC, datetime, timedelta

from watchdesk_collector.web.panels import DISK, LOAD
from watchdesk_collector.web.queries import Row, Slots, slots_up_to
from watchdesk_collector.web.series import MAX_PARTS, MIN_SLOTS, Chart, build_chart, from_first_sight, runs

SLOTS = Slots(since=datetime(2026, 11, 20, tzinfo=UTC), width=timedelta(seconds=15), count=20)


def load_row(slot: int, load1: float = 1.0) -> Row:
    return {"slot": slot, "load1": load1, "load1_low": load1, "load1_high": load1, "load15": load1, "cpus": 2}


def test_one_missing_slot_of_a_sampler_that_fills_all_is_a_gap() -> None:
    chart = build_chart(LOAD, [load_row(slot) for slot in (0, 1, 2, 4, 5)], SLOTS)
    assert runs(chart.series[0]) == [[0, 1, 2], [4, 5]]


def test_slots_between_the_turns_of_a_slow_sampler_are_no_gap() -> None:
    chart = build_chart(LOAD, [load_row(slot) for slot in (0, 4, 8, 12, 19)], SLOTS)
    assert runs(chart.series[0]) == [[0, 4, 8, 12], [19]]


def test_the_busiest_parts_are_kept_in_the_order_of_their_names_and_the_rest_is_counted() -> None:
    rows = [{"slot": 0, "part": f"/{name}", "used": used / 100} for used, name in enumerate("hgfedcba")]
    chart = build_chart(DISK, rows, SLOTS)
    assert [series.name for series in chart.series] == ["/a", "/b", "/c", "/d", "/e", "/f"]
    assert [series.colour for series in chart.series] == list(range(MAX_PARTS))
    assert chart.left_out == 2


def test_rows_outside_the_slots_are_left_out() -> None:
    chart = build_chart(LOAD, [load_row(-1), load_row(20)], SLOTS)
    assert chart.is_empty


def test_slots_stand_on_the_grid_of_their_width_and_the_newest_holds_now() -> None:
    slots = slots_up_to(datetime(2026, 11, 20, 12, 7, 31, tzinfo=UTC), width=timedelta(minutes=5), count=3)
    assert slots.since == datetime(2026, 11, 20, 11, 55, tzinfo=UTC)
    assert slots.at(2) == datetime(2026, 11, 20, 12, 5, tzinfo=UTC)
    assert slots.until == datetime(2026, 11, 20, 12, 10, tzinfo=UTC)


def hour_with(*slots: int) -> Chart:
    hour = Slots(since=SLOTS.since, width=timedelta(seconds=10), count=360)
    return build_chart(LOAD, [load_row(slot) for slot in slots], hour)


def test_the_charts_of_a_young_host_begin_where_it_did() -> None:
    [chart] = from_first_sight([hour_with(250, 251, 359)], SLOTS.since + timedelta(seconds=2500))
    assert (chart.slots.count, chart.slots.since) == (110, SLOTS.since + timedelta(seconds=2500))
    assert runs(chart.series[0])[0] == [0, 1]
    assert len(chart.series[0].high) == 110
    assert chart.slots.until == hour_with().slots.until


def test_the_charts_of_a_newborn_host_still_span_some_time() -> None:
    [chart] = from_first_sight([hour_with(358, 359)], SLOTS.since + timedelta(seconds=3580))
    assert chart.slots.count == MIN_SLOTS


def test_samples_from_before_the_first_connection_are_shown() -> None:
    [chart] = from_first_sight([hour_with(100, 359)], SLOTS.since + timedelta(seconds=3580))
    assert chart.slots.count == 260


def test_the_silence_of_an_old_host_stays_in_its_charts() -> None:
    [chart] = from_first_sight([hour_with(300, 301)], SLOTS.since - timedelta(days=1))
    assert chart.slots.count == 360
