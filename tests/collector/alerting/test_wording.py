"""Numbers as people read them."""

import pytest
from watchdesk_collector.alerting.wording import duration, measured


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "bytes", "no value"),
        (0.931, "ratio", "93.1 %"),
        (1.0, "ratio", "100 %"),
        (0.0, "bytes", "0 B"),
        (1288490188.8, "bytes", "1.2 GiB"),
        (-1024.0, "bytes", "-1 KiB"),
        (5e15, "bytes", "4547 TiB"),
        (4194304.0, "bytes_per_second", "4 MiB/s"),
        (0.0004, "seconds", "0.4ms"),
        (0.25, "seconds", "0.25s"),
        (7500.0, "seconds", "2h 5m"),
        (1166400.0, "seconds", "13d 12h"),
        (-86400.0, "seconds", "-1d"),
        (12345.6, "", "12346"),
        (1.5, "", "1.5"),
    ],
)
def test_values_are_written_with_their_unit(value: float | None, unit: str, text: str) -> None:
    assert measured(value, unit) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.6, "1m"), (60, "1m"), (3661, "1h 1m"), (86460, "1d"), (172800, "2d")])
def test_durations_have_at_most_two_parts(seconds: float, text: str) -> None:
    assert duration(seconds) == text
