"""What would poison history: times that no host samples at, and texts that aren't there."""

from watchdesk_collector.ingest.layouts import Shape
from watchdesk_collector.ingest.refused import DecodeError

EARLIEST_US = 946_684_800_000_000  # 2000-01-01: no host that samples itself is older, but garbage is


def check(shape: Shape, words: "memoryview[int]", rows: int, *, texts: int, latest_us: int) -> tuple[int, int]:
    """Refuse it; the first and the last time. Plain min and max: a single table has few rows, numpy costs more there. **Errors**: DecodeError."""
    times = words[:rows]
    if (earliest := min(times)) < EARLIEST_US:
        raise DecodeError("garbage", f"{shape.name}: a sample is dated before the year 2000")
    if (latest := max(times)) > latest_us:
        ahead_s = (latest - latest_us) / 1e6
        raise DecodeError(
            "future", f"{shape.name}: a sample is dated {ahead_s:.0f} s beyond what this collector accepts; set the host's clock (chrony, timesyncd)"
        )
    for column, name in shape.text_columns:
        codes = words[column * rows : (column + 1) * rows]
        if min(codes) < -1 or max(codes) >= texts:
            raise DecodeError("garbage", f"{shape.name}.{name}: a text index points outside the batch's {texts} texts")
    return earliest, latest
