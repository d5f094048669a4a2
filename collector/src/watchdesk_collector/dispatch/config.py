"""What an operator may set about dispatch: how long to wait for company, and when nobody wants to hear."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watchdesk_proto.settings import Form, setting

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _check_time(written: str) -> str | None:
    try:
        time.fromisoformat(written)
    except ValueError:
        return f'is {written!r}; write a time of day like "02:30"'
    return None


def _check_zone(written: str) -> str | None:
    try:
        _zone(written)
    except (ZoneInfoNotFoundError, ValueError):
        return f'is {written!r}, which this machine does not know; write a time zone like "Europe/Berlin", or leave it out for UTC'
    return None


def _zone(name: str) -> tzinfo:
    """UTC needs no time zone database; a minimal machine has none."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _check_days(written: tuple[str, ...]) -> str | None:
    unknown = [day for day in written if day not in DAYS]
    return f"has {unknown[0]!r}; the days are {', '.join(DAYS)}" if unknown else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWindow:
    """One [[dispatch.maintenance]]: a time of the week in which alerts fire but nobody is told. What still fires when it ends is told then."""

    name: str = setting(help="What it is called in the reasons that are stored.")
    hosts: tuple[str, ...] = setting(("*",), help="Host names it concerns; * and ? stand for any characters.", example='["web*"]')
    rules: tuple[str, ...] = setting(("*",), help="Rule names it concerns, in the same way.")
    days: tuple[str, ...] = setting(DAYS, help="Days on which it begins.", check=_check_days, example='["sat", "sun"]')
    start: str = setting(help="When it begins.", check=_check_time, example="02:00")
    end: str = setting(help="When it ends, the next day if that is earlier than `start`.", check=_check_time, example="04:00")
    timezone: str = setting("UTC", help="Whose clock that is.", check=_check_zone, example="Europe/Berlin")

    def problems(self) -> Iterable[tuple[str, str]]:
        """A window must have a length."""
        if self.start == self.end:
            yield "end", "is the same as start; a window of 24 hours is written as 00:00 to 23:59"

    def covers(self, *, host: str, rule: str, at: datetime) -> bool:
        """Whether an alert of this rule on this host falls into it."""
        concerns_it = any(fnmatchcase(host, pattern) for pattern in self.hosts) and any(fnmatchcase(rule, pattern) for pattern in self.rules)
        return concerns_it and self._is_on(at.astimezone(_zone(self.timezone)))

    def _is_on(self, local: datetime) -> bool:
        start, end, now = time.fromisoformat(self.start), time.fromisoformat(self.end), local.time()
        if start < end:
            return start <= now < end and DAYS[local.weekday()] in self.days
        began = local if now >= start else local - timedelta(days=1)
        return (now >= start or now < end) and DAYS[began.weekday()] in self.days


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchConfig:
    """The [dispatch] table."""

    group_wait: float = setting("0s", form=Form.DURATION, help="How long an alert waits for others to share its message with.", example="30s")
    maintenance: tuple[MaintenanceWindow, ...] = setting((), help="Times in which nobody is told.")
