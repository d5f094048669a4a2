"""Values as people read them: shares, sizes, durations, ages."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from watchdesk_collector.web.panels import Unit

NOTHING = "–"  # shown where there is no value

_DURATIONS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def percent(ratio: float | None) -> str:
    """Write "0.4 %", "37 %", "99.97 %": more digits near the ends, where they matter."""
    if ratio is None:
        return NOTHING
    share = ratio * 100
    if 99 < share < 100:
        return f"{min(share, 99.99):.2f}".rstrip("0").rstrip(".") + " %"
    return f"{share:.1f} %" if 0 < share < 10 else f"{share:.0f} %"


def size(count: float | None) -> str:
    """Write "512 B", "1.5 GiB": binary units, three significant digits."""
    if count is None:
        return NOTHING
    scaled, unit = float(count), 0
    while abs(scaled) >= 1000 and unit < len(_SIZES) - 1:
        scaled, unit = scaled / 1024, unit + 1
    return f"{scaled:.0f} {_SIZES[unit]}" if unit == 0 else f"{_three_digits(scaled)} {_SIZES[unit]}"


def rate(count: float | None) -> str:
    return NOTHING if count is None else f"{size(count)}/s"


def number(value: float | None) -> str:
    return NOTHING if value is None else _three_digits(value)


def duration(seconds: float | None) -> str:
    """Write "0.3 ms", "45 ms", "1.2 s", "3 min 20 s", "2 d 4 h": the two largest units."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{_three_digits(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    return _two_units(seconds)


def ago(at: datetime | None, now: datetime) -> str:
    """Write "just now", "3 min ago", "2 d ago"; "never" without a time."""
    if at is None:
        return "never"
    age = (now - at).total_seconds()
    if age < 30:
        return "just now"
    return f"{_one_unit(age)} ago"


def lasting(since: datetime, until: datetime) -> str:
    """How long from one to the other, as `duration`; never negative."""
    return duration(max((until - since).total_seconds(), 0))


def utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%H:%M:%S")


def iso(at: datetime) -> str:
    """For `<time datetime>`."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def clock_words(offset_s: float) -> str:
    """Write "right to the second", "3.2 s behind", "4 min ahead"; of how far a clock is ahead."""
    if abs(offset_s) < 1.0:
        return "right to the second"
    return f"{duration(abs(offset_s))} {'ahead' if offset_s > 0 else 'behind'}"


def plural(count: int, noun: str) -> str:
    """Write "1 host", "1 200 hosts"."""
    written = f"{count:,}".replace(",", "\u202f")
    return f"{written} {noun}" if count == 1 else f"{written} {noun}s"


def in_unit(value: float | None, unit: Unit) -> str:
    return _BY_UNIT[unit](value)


def host_path(name: str) -> str:
    """The address of a host's page."""
    return f"/hosts/{quote(name, safe='')}"


_BY_UNIT: Mapping[Unit, Callable[[float | None], str]] = {
    Unit.RATIO: percent,
    Unit.BYTES: size,
    Unit.BYTES_PER_SECOND: rate,
    Unit.SECONDS: duration,
    Unit.NUMBER: number,
}

FILTERS: Mapping[str, Callable[..., str]] = {
    "percent": percent,
    "size": size,
    "rate": rate,
    "number": number,
    "duration": duration,
    "ago": ago,
    "lasting": lasting,
    "utc": utc,
    "clock": clock,
    "iso": iso,
    "plural": plural,
    "host_path": host_path,
}


def _three_digits(value: float) -> str:
    magnitude = abs(value)
    digits = 0 if magnitude >= 100 or magnitude == 0 else 1 if magnitude >= 10 else 2
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _two_units(seconds: float) -> str:
    rest = round(seconds)
    parts: list[str] = []
    for unit, length in _DURATIONS:
        count, rest = divmod(rest, int(length))
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def _one_unit(seconds: float) -> str:
    for unit, length in _DURATIONS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "0 s"
