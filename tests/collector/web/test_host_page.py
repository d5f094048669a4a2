from dataclasses import replace
from datetime import timedelta

import pytest
from collector.web.serving import NOW
from collector.web.test_status import host
from watchdesk_collector.web.host_page import RANGES, build_facts, build_panel, range_of
from watchdesk_collector.web.panels import DISK_IO, LOAD, PANELS
from watchdesk_collector.web.queries import slots_up_to
from watchdesk_collector.web.series import build_chart
from watchdesk_proto.catalogue import builtin

SLOTS = slots_up_to(NOW, width=timedelta(seconds=15), count=240)


def test_ranges_have_some_300_points_each() -> None:
    assert [range.width * range.count for range in RANGES] == [
        timedelta(hours=1),
        timedelta(hours=6),
        timedelta(days=1),
        timedelta(days=7),
        timedelta(days=30),
    ]
    assert all(240 <= range.count <= 360 for range in RANGES)
    assert range_of("1y") is None


def test_what_is_not_known_of_a_host_is_left_out() -> None:
    facts = dict(build_facts(host("web-1"), None, at=NOW))
    assert facts == {"Agent": "0.1.0", "Clock": "right to the second", "Known for": "1 d"}


@pytest.mark.parametrize(
    ("offset_s", "written"), [(0.4, "right to the second"), (-0.9, "right to the second"), (-12.0, "12 s behind"), (90.0, "1 min 30 s ahead")]
)
def test_a_wrong_clock_is_told_with_its_direction(offset_s: float, written: str) -> None:
    facts = dict(build_facts(replace(host("web-1"), clock_offset_s=offset_s), None, at=NOW))
    assert facts["Clock"] == written


def test_a_chart_can_be_heard() -> None:
    row = {"slot": 239, "load1": 1.5, "load1_low": 1.0, "load1_high": 2.0, "load15": 1.25, "cpus": 4}
    panel = build_panel(build_chart(LOAD, [row], SLOTS))
    assert panel.spoken == "Load; latest values: 1 min 1.5, 15 min 1.25, CPUs 4"
    assert panel.value_labels == ("4", "2", "0")
    assert panel.time_labels == ("13:02", "13:17", "13:32", "13:47", "14:02")


def test_both_directions_are_labelled_with_positive_values() -> None:
    rows = [{"slot": 0, "part": "sda", "read": 3 * 2**20, "written": 1024.0}]
    panel = build_panel(build_chart(DISK_IO, rows, SLOTS))
    assert panel.value_labels == ("3 MiB/s", "1.5 MiB/s", "0 B/s", "1.5 MiB/s", "3 MiB/s")


def test_each_panel_asks_a_measurement_that_there_is() -> None:
    names = {measurement.name for measurement in builtin()}
    assert {panel.table for panel in PANELS} <= names
    assert len({panel.id for panel in PANELS}) == len(PANELS)
