"""What goes into and comes out of the SQL runner."""

from dataclasses import dataclass, field
from enum import StrEnum


class Format(StrEnum):
    """How an answer is written. JSON: `{"columns": [{"name", "type"}], "rows": [[…]], "row_count", "truncated"}`."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"  # an IPC stream


class Truncation(StrEnum):
    """Which limit cut an answer short."""

    ROWS = "rows"
    BYTES = "bytes"


class Fault(StrEnum):
    """Why there is no answer."""

    QUERY = "query"  # the query is wrong, or asks for what a query may not do
    REQUEST = "request"  # a limit that was asked for is out of bounds
    SIZE = "size"  # the query text is too long
    DEADLINE = "deadline"
    MEMORY = "memory"
    BUSY = "busy"
    HISTORY = "history"  # history cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlResult:
    """An answer. `body` is complete in `format`, even when `truncated` cut rows off."""

    format: Format
    body: bytes = field(repr=False)
    rows: int
    truncated: Truncation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlError:
    """No answer, and why, in one sentence. `excerpt` is the line of the query with a caret line below; the three are None when no place is known.

    **Units**: `line` and `column` count characters from 1.
    """

    fault: Fault
    message: str
    line: int | None = None
    column: int | None = None
    excerpt: str | None = None
