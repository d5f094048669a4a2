"""When an entry says it happened: the forms of time that logs carry, brought to microseconds since 1970 UTC.

Before it: `parse`, which calls it at the places where a time can stand. Invariant: pure; a time without a zone is local to the host (`zone`), a time
without a year is the newest such day that is not in the future, and what is not a time is None.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

PLAUSIBLE_PAST = timedelta(days=30)
PLAUSIBLE_FUTURE = timedelta(seconds=60)

_MONTHS = {name: number for number, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1)}
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_ZONE = r"(?:\s?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)(?![\w:]))?"
_ISO = re.compile(rf"(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]{_TIME}{_ZONE}")
_SYSLOG = re.compile(
    rf"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?(?P<name>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) (?:(?P<year>\d{{4}}) )?{_TIME}(?: (?P<late>\d{{4}})(?=\W))?"
)
_CLF = re.compile(rf"(?P<day>\d\d)/(?P<name>[A-Z][a-z]{{2}})/(?P<year>\d{{4}}):{_TIME}{_ZONE}")
_GLOG = re.compile(rf"[IWEF](?P<month>\d\d)(?P<day>\d\d) {_TIME}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time that was found at the start of a text, and where the text goes on."""

    at_us: int
    end: int


def read_stamp(text: str, *, now_us: int, zone: tzinfo | None) -> Stamp | None:
    """The time that `text` starts with: ISO 8601 and its relatives, syslog's and Apache's `Nov 24 13:00:00`, CLF, glog. An opening `[` or `(` may
    stand before it.
    """
    start = 1 if text[:1] in ("[", "(") else 0
    for pattern in (_ISO, _SYSLOG, _CLF, _GLOG):
        match = pattern.match(text, start)
        if match is None:
            continue
        at_us = _moment(match.groupdict(), now_us=now_us, zone=zone)
        return None if at_us is None else Stamp(at_us, match.end() + (text[match.end() : match.end() + 1] in ("]", ")")))
    return None


def read_epoch(value: float) -> int | None:
    """Microseconds of a number in seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by its size (years 2001 to 2286)."""
    if not 0 < value < 1e20:
        return None
    for scale in (1_000_000, 1_000, 1, 0.001):
        if 1e15 <= value * scale < 1e16:
            return round(value * scale)
    return None


def plausible(at_us: int | None, *, now_us: int) -> int:
    """`at_us` when it can be believed of an entry read now (30 days back to 60 s ahead); `now_us` otherwise."""
    if at_us is None or not -_us(PLAUSIBLE_PAST) <= at_us - now_us <= _us(PLAUSIBLE_FUTURE):
        return now_us
    return at_us


def _us(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _moment(parts: dict[str, str | None], *, now_us: int, zone: tzinfo | None) -> int | None:
    written_zone = parts.get("zone")
    tz = _offset(written_zone) if written_zone else zone
    year = parts.get("year") or parts.get("late")
    try:
        month = _MONTHS[(parts["name"] or "").lower()] if "name" in parts else int(parts["month"] or 0)
        if year is not None:
            return _build(int(year), month, parts, tz)
        return _without_year(month, parts, tz, now_us)
    except (KeyError, ValueError, OverflowError):
        return None


def _build(year: int, month: int, parts: dict[str, str | None], tz: tzinfo | None) -> int:
    """A naive datetime's `astimezone` reads it as local to the host, summer time included."""
    microsecond = int((parts["fraction"] or "0").ljust(6, "0")[:6])
    day, hour, minute, second = (int(parts[name] or 0) for name in ("day", "hour", "minute", "second"))
    at = datetime(year, month, day, hour, minute, min(second, 59), microsecond, tzinfo=tz)
    return (at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _without_year(month: int, parts: dict[str, str | None], tz: tzinfo | None, now_us: int) -> int:
    this_year = datetime.fromtimestamp(now_us / 1_000_000, UTC).year
    tomorrow_us = now_us + _us(timedelta(days=1))
    for year in (this_year + 1, this_year):
        try:
            at_us = _build(year, month, parts, tz)
        except ValueError:  # 29 February
            continue
        if at_us <= tomorrow_us:
            return at_us
    return _build(this_year - 1, month, parts, tz)


def _offset(written: str) -> tzinfo:
    if written in ("Z", "UTC", "GMT"):
        return UTC
    minutes = int(written[1:3]) * 60 + int(written[-2:])
    return timezone(timedelta(minutes=minutes if written[0] == "+" else -minutes))
