"""From counters to rates. A counter that went backwards (a reset, a wrap, a device that came back) has no rate in that tick.

Results are rounded to what a reader can use: a quotient's last digits are noise that no encoding can shorten, and would be a quarter of what a host's
history takes on disk.
"""

RATE_DIGITS = 2
RATIO_DIGITS = 5  # of a second of 1,000 processors, one tick of the kernel's clock


def increase(now: int | float, before: int | float | None) -> int | float | None:
    """How much a counter grew; None without an earlier reading, and when it went backwards."""
    if before is None or now < before:
        return None
    return now - before


def per_second(now: int | float, before: int | float | None, elapsed_s: float, *, digits: int = RATE_DIGITS) -> float | None:
    """`increase` per second, rounded; None also when no time has passed."""
    grown = increase(now, before)
    return None if grown is None or elapsed_s <= 0 else round(grown / elapsed_s, digits)


def ratio(part: float | None, whole: float | None) -> float | None:
    """`part / whole`, rounded; None when either is unknown or the whole is nothing."""
    return None if part is None or not whole else round(part / whole, RATIO_DIGITS)
