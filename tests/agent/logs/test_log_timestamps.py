from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from watchdesk_agent.logs.timestamps import plausible, read_epoch, read_stamp

NOW = datetime(2026, 11, 24, 13, 0, 5, tzinfo=UTC)
NOW_US = round(NOW.timestamp()) * 1_000_000
CET = timezone(timedelta(hours=1))


def at(text: str, *, now: datetime = NOW, zone: object = UTC) -> datetime | None:
    stamp = read_stamp(text, now_us=round(now.timestamp() * 1e6), zone=zone)  # type: ignore[arg-type]
    return None if stamp is None else datetime.fromtimestamp(stamp.at_us / 1e6, UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T12:59:59.123456+01:00 host", datetime(2026, 11, 24, 11, 59, 59, 123456, UTC)),
        ("2026-11-24T12:59:59Z host", datetime(2026, 11, 24, 12, 59, 59, 0, UTC)),
        ("2026-11-24T12:59:59.1234567Z host", datetime(2026, 11, 24, 12, 59, 59, 123456, UTC)),
        ("2026-11-24T12:59:59-0330", datetime(2026, 11, 24, 16, 29, 59, 0, UTC)),
        ("2026-11-24 12:59:59,123 ERROR", datetime(2026, 11, 24, 12, 59, 59, 123000, UTC)),
        ("2026-11-24 12:59:59.123 UTC [7] ERROR", datetime(2026, 11, 24, 12, 59, 59, 123000, UTC)),
        ("2026/11/24 12:59:59 [error] 1#1", datetime(2026, 11, 24, 12, 59, 59, 0, UTC)),
        ("[2026-11-24 12:59:59] local.ERROR", datetime(2026, 11, 24, 12, 59, 59, 0, UTC)),
        ("Nov 24 12:59:59 web1 app: x", datetime(2026, 11, 24, 12, 59, 59, 0, UTC)),
        ("Nov  4 12:59:59 web1 app: x", datetime(2026, 11, 4, 12, 59, 59, 0, UTC)),
        ("Nov 24 2026 12:59:59 switch", datetime(2026, 11, 24, 12, 59, 59, 0, UTC)),
        ("[Tue Nov 24 12:59:59.123456 2026] [core:error]", datetime(2026, 11, 24, 12, 59, 59, 123456, UTC)),
        ("[24/Nov/2026:12:59:59 +0100] x", datetime(2026, 11, 24, 11, 59, 59, 0, UTC)),
        ("E1124 12:59:59.123456 1 a.go:1] x", datetime(2026, 11, 24, 12, 59, 59, 123456, UTC)),
    ],
)
def test_each_form_of_time_is_read(text: str, moment: datetime) -> None:
    assert at(text) == moment


@pytest.mark.parametrize(
    "text", ["", "hello", "2026-13-24T12:00:00Z", "2026-02-30 12:00:00", "Foo 24 12:00:00 x", "24:00:00", "2026-11-24", "Nov 31 12:00:00 x"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert at(text) is None


def test_the_text_goes_on_behind_the_time_and_its_bracket() -> None:
    text = "[2026-11-24 12:59:59] rest"
    stamp = read_stamp(text, now_us=NOW_US, zone=UTC)
    assert stamp is not None
    assert text[stamp.end :] == " rest"


def test_a_time_without_year_is_of_the_newest_year_that_is_not_ahead() -> None:
    new_year = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert at("Dec 31 23:59:59 h a: x", now=new_year) == datetime(2026, 12, 31, 23, 59, 59, 0, UTC)
    assert at("Jan  1 00:00:01 h a: x", now=new_year) == datetime(2027, 1, 1, 0, 0, 1, 0, UTC)
    assert at("Jan  1 00:00:01 h a: x", now=datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)) == datetime(2027, 1, 1, 0, 0, 1, 0, UTC)


def test_29_february_is_found_in_the_last_leap_year_or_is_none() -> None:
    assert at("Feb 29 10:00:00 h a: x", now=datetime(2024, 3, 1, tzinfo=UTC)) == datetime(2024, 2, 29, 10, 0, 0, 0, UTC)
    assert at("Feb 29 10:00:00 h a: x", now=datetime(2025, 1, 1, tzinfo=UTC)) == datetime(2024, 2, 29, 10, 0, 0, 0, UTC)
    assert at("Feb 29 10:00:00 h a: x", now=datetime(2026, 11, 24, tzinfo=UTC)) is None


def test_a_time_without_zone_is_local_summer_time_included() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert at("2026-11-24 13:59:59", zone=berlin) == datetime(2026, 11, 24, 12, 59, 59, 0, UTC)
    assert at("2026-07-01 13:59:59", zone=berlin) == datetime(2026, 7, 1, 11, 59, 59, 0, UTC)
    assert at("2026-07-01 13:59:59Z", zone=berlin) == datetime(2026, 7, 1, 13, 59, 59, 0, UTC)


def test_a_leap_second_is_read_as_the_second_before() -> None:
    assert at("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, 0, UTC)


@pytest.mark.parametrize("value", [1_795_525_205, 1_795_525_205.0, 1_795_525_205_000, 1_795_525_205_000_000, 1_795_525_205_000_000_000])
def test_epoch_numbers_are_told_apart_by_size(value: float) -> None:
    assert read_epoch(value) == 1_795_525_205_000_000


@pytest.mark.parametrize("value", [0, -1, 5, 10**25, 10**4000, float("nan"), float("inf")])
def test_other_numbers_are_no_epoch(value: float) -> None:
    assert read_epoch(value) is None


def test_only_plausible_times_are_believed() -> None:
    day = 86_400_000_000
    assert plausible(NOW_US - 29 * day, now_us=NOW_US) == NOW_US - 29 * day
    assert plausible(NOW_US + 59_000_000, now_us=NOW_US) == NOW_US + 59_000_000
    assert [plausible(at_us, now_us=NOW_US) for at_us in (None, NOW_US - 31 * day, NOW_US + 61_000_000)] == [NOW_US] * 3
