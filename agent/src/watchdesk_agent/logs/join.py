"""Lines that belong together, made one entry: Python tracebacks, indented continuations, private key blocks.

Before it: `parse`. After it: `mask`. Invariant: pure and bounded; a line goes into exactly one entry or is below the floor, and `boundary` tells
the points of a file where a position may stand: those where no entry is half read.
"""

import re
from dataclasses import dataclass, field
from enum import Enum, auto

from watchdesk_agent.logs.parse import Line
from watchdesk_agent.logs.severity import Severity

MAX_LINES = 1_000
MAX_LINES_BETWEEN = 100
ENTRY_BYTES = 64  # the words of a row of `log`

_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_EXCEPTION_LINE = re.compile(r"[A-Za-z_][\w.<>]*(?::\s.*|:)?$", re.DOTALL)
_DECORATION = " \t|+-"
_KEY_BEGINS, _KEY_ENDS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "-----END"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is told of: one line or several that belong together, the headline first."""

    message: str
    severity: Severity
    at_us: int | None
    unit: str | None
    lines: int

    @property
    def bytes(self) -> int:
        """About what it takes in a batch."""
        return ENTRY_BYTES + len(self.message.encode("utf-8", "replace")) + len(self.unit or "")


class Boundary(Enum):
    """Where a position may stand, seen from the newest line, so that reading on from there gives each entry once."""

    AFTER = auto()
    BEFORE = auto()
    NONE = auto()


class _Expects(Enum):
    """What an entry that is being joined takes next."""

    INDENTED = auto()
    FRAMES = auto()
    CHAIN = auto()
    KEY = auto()


@dataclass(slots=True)
class _Open:
    """An entry that may get more lines."""

    first: Line
    severity: Severity
    expects: _Expects
    texts: list[str] = field(default_factory=list)
    lines_since: int = 0  # of other streams, after its newest


class Joiner:
    """Takes lines in file order and gives entries at or above `floor`. Lines of different streams may be interleaved."""

    def __init__(self, floor: Severity) -> None:
        self._floor = floor
        self._open: dict[str, _Open] = {}
        self._newest_opened = False

    @property
    def boundary(self) -> Boundary:
        """After the newest line when no entry waits; before it when that line alone waits for more."""
        if not self._open:
            return Boundary.AFTER
        return Boundary.BEFORE if self._newest_opened and len(self._open) == 1 else Boundary.NONE

    def add(self, line: Line) -> list[Entry]:
        """The entries that this line completes."""
        self._newest_opened = False
        done = self._give_up_waiting(line.stream)
        current = self._open.get(line.stream)
        if current is not None:
            if len(current.texts) < MAX_LINES and _takes(current, line):
                return done
            done.append(_close(self._open.pop(line.stream)))
        opened = self._opened(line)
        if opened is not None:
            self._open[line.stream] = opened
            self._newest_opened = True
        return done

    def flush(self) -> list[Entry]:
        """All entries that waited, as they are."""
        waiting, self._open = self._open, {}
        return [_close(entry) for entry in waiting.values()]

    def _give_up_waiting(self, stream: str) -> list[Entry]:
        done = []
        for key, entry in list(self._open.items()):
            entry.lines_since = 0 if key == stream else entry.lines_since + 1
            if entry.lines_since > MAX_LINES_BETWEEN:
                done.append(_close(self._open.pop(key)))
        return done

    def _opened(self, line: Line) -> _Open | None:
        if _opens_traceback(line.message):
            severity = max(line.severity or Severity.ERROR, Severity.ERROR, key=lambda s: s.rank)
            return _Open(line, severity, _Expects.FRAMES, [line.message]) if severity.at_least(self._floor) else None
        severity = line.severity or Severity.INFO
        if not severity.at_least(self._floor) or not line.message.strip():
            return None
        return _Open(line, severity, _Expects.KEY if _key_is_open(line.message) else _Expects.INDENTED, [line.message])


def headlined(texts: list[str]) -> str:
    """The texts as one message; that of a traceback starts with its last line, which says what went wrong."""
    if not any(_TRACEBACK in text for text in texts):
        return "\n".join(texts).rstrip()
    last = next(index for index in range(len(texts) - 1, -1, -1) if texts[index].strip(_DECORATION))
    return "\n".join([texts[last].strip(_DECORATION), *texts[:last], *texts[last + 1 :]]).rstrip()


def _close(entry: _Open) -> Entry:
    texts = entry.texts
    while len(texts) > 1 and not texts[-1].strip():
        texts.pop()
    first = entry.first
    message = headlined([line for text in texts for line in text.split("\n")])
    return Entry(message=message, severity=entry.severity, at_us=first.at_us, unit=first.unit, lines=len(texts))


def _takes(entry: _Open, line: Line) -> bool:
    """Append the line when the entry has a place for it."""
    following = _following(entry, line)
    if following is None:
        return False
    entry.expects = following
    entry.texts.append(line.message)
    if following is _Expects.FRAMES:
        entry.severity = max(entry.severity, Severity.ERROR, key=lambda s: s.rank)
    return True


def _following(entry: _Open, line: Line) -> _Expects | None:
    """What the entry expects after this line; None when the line is not the entry's."""
    text = line.message
    if entry.expects is _Expects.KEY:
        return _Expects.INDENTED if _KEY_ENDS in text else _Expects.KEY
    if _opens_traceback(text):
        return _Expects.FRAMES if _continues(entry, line) else None
    if entry.expects is _Expects.FRAMES:
        return _after_frame(entry, line)
    if text[:1] in (" ", "\t") or text.startswith("Caused by: "):
        return entry.expects
    if entry.expects is _Expects.CHAIN and (not text.strip() or text in _CHAINED):
        return _Expects.CHAIN
    return None


def _after_frame(entry: _Open, line: Line) -> _Expects | None:
    """Within a traceback: frames are indented, and the first line that is not names the exception."""
    if line.message[:1] in (" ", "\t") or not line.message.strip():
        return _Expects.FRAMES
    new_entry_of_another_thread = line.at_us is not None and not line.stream
    return _Expects.CHAIN if not new_entry_of_another_thread and _EXCEPTION_LINE.match(line.message) else None


def _continues(entry: _Open, line: Line) -> bool:
    """A traceback belongs to the line before it (logging's `exc_info`) or to the traceback that it chains to; with a level of its own it is told
    apart.
    """
    if entry.expects is _Expects.CHAIN:
        return any(text in _CHAINED for text in entry.texts[-3:])
    return entry.expects is _Expects.INDENTED and len(entry.texts) == 1 and (line.at_us is None or bool(line.stream))


def _opens_traceback(text: str) -> bool:
    return text.rstrip().endswith(_TRACEBACK)


def _key_is_open(text: str) -> bool:
    begins = _KEY_BEGINS.search(text)
    return begins is not None and _KEY_ENDS not in text[begins.end() :]
