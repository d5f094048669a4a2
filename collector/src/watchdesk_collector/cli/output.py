"""Tables and times for people: ruled on a terminal, plain columns in a pipe."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # what would move the cursor or colour the terminal


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Sequence[int] = ()) -> None:
    """Print rows of texts; the columns at the indexes in `numeric` are aligned to the right."""
    safe = [[_UNSAFE.sub(" ", cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_ruled(columns, safe, numeric)
    else:
        _print_plain(columns, safe, numeric)


def since(at: str | None) -> str:
    """How long ago an ISO 8601 time is: "12 s", "5 min", "3 h", "2 d"."""
    if not at:
        return "never"
    return duration((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())


def duration(seconds: float) -> str:
    """As `since`, of seconds; what lies ahead is "0 s"."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def percent(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio * 100:.0f} %"


def _print_plain(columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]) -> None:
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = [cell.rjust(width) if index in numeric else cell.ljust(width) for index, (cell, width) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())


def _print_ruled(columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]) -> None:
    from rich import box  # noqa: PLC0415  50 ms that a pipe need not pay
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if index in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
