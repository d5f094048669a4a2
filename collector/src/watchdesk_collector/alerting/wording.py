"""Numbers as people read them."""


def measured(value: float | None, unit: str) -> str:
    """A number with its unit, to about three digits: 0.931 ratio → "93.1 %", bytes → "1.2 GiB", seconds → "2h 5m"."""
    if value is None:
        return "no value"
    if unit.endswith("_per_second"):
        return f"{measured(value, unit.removesuffix('_per_second'))}/s"
    if unit == "ratio":
        return f"{_short(value * 100)} %"
    if unit == "bytes":
        return _bytes(value)
    if unit == "seconds":
        return duration(value)
    return _short(value)


def duration(seconds: float) -> str:
    """A time span in its two largest units: "45s", "2h 5m", "3d"; below 10 s with decimals."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 10:
        return f"{seconds:.3g}s" if seconds >= 0.001 or seconds == 0 else f"{seconds * 1000:.3g}ms"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for size, letter in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, letter))
    return " ".join(f"{count}{letter}" for count, letter in parts[:2] if count)


def _bytes(value: float) -> str:
    size = abs(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{'-' * (value < 0)}{_short(size)} {unit}"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
