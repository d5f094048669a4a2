from datetime import UTC, datetime, timedelta

import pytest
from watchdesk_collector.web import words
from watchdesk_collector.web.panels import Unit

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ratio", "written"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.004, "0.4 %"),
        (0.0999, "10.0 %"),
        (0.37, "37 %"),
        (0.9997, "99.97 %"),
        (0.999999, "99.99 %"),
        (0.995, "99.5 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_never_claims_to_be_whole_when_it_is_not(ratio: float | None, written: str) -> None:
    assert words.percent(ratio) == written


@pytest.mark.parametrize(
    ("count", "written"), [(None, "–"), (0, "0 B"), (512, "512 B"), (1000, "0.98 KiB"), (1536, "1.5 KiB"), (16 * 2**30, "16 GiB"), (-2048, "-2 KiB")]
)
def test_sizes_are_binary_with_three_digits(count: float | None, written: str) -> None:
    assert words.size(count) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "–"),
        (0.0003, "0.3 ms"),
        (0.045, "45 ms"),
        (1.234, "1.2 s"),
        (2.0, "2 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_show_their_two_largest_units(seconds: float | None, written: str) -> None:
    assert words.duration(seconds) == written


def test_ages_are_told_in_one_unit() -> None:
    assert words.ago(None, NOW) == "never"
    assert words.ago(NOW, NOW) == "just now"
    assert words.ago(NOW - timedelta(seconds=190), NOW) == "3 min ago"
    assert words.ago(NOW + timedelta(seconds=3), NOW) == "just now"


def test_each_unit_can_be_written() -> None:
    assert {unit: words.in_unit(0.5, unit) for unit in Unit} == {
        Unit.RATIO: "50 %",
        Unit.BYTES: "0 B",
        Unit.BYTES_PER_SECOND: "0 B/s",
        Unit.SECONDS: "500 ms",
        Unit.NUMBER: "0.5",
    }


def test_a_host_name_cannot_leave_its_place_in_an_address() -> None:
    assert words.host_path("a/../b?c#d") == "/hosts/a%2F..%2Fb%3Fc%23d"
