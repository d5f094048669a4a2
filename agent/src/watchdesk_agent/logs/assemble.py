"""Bytes of a file, made entries: the one step between what was read and what is told.

Before it: `follow`, which read a block from a position. After it: `source`, which masks and caps. Invariant: pure; `consumed` ends where no line
and no entry is half read, so what is behind it is either in `entries` or below the severity, and what is ahead of it comes again with the next block.
"""

from dataclasses import dataclass, field

from watchdesk_agent.logs.join import Boundary, Entry, Joiner
from watchdesk_agent.logs.parse import Format, Line, Moment, parse_line
from watchdesk_agent.logs.screen import Screen
from watchdesk_agent.logs.severity import Severity

BLOCK_BYTES = 256 * 1024  # what is read at once, and the longest line
JOIN_WAIT_S = 2.0  # how long an entry may wait for a further line
PARTIAL_WAIT_S = 30.0  # how long a last line may wait for its end
_HOLE_BYTES = 4096  # shorter runs of NULs are part of a line


class Reading:
    """How the lines of one source are read: their form and the lowest severity that is told."""

    def __init__(self, *, form: Format, floor: Severity) -> None:
        self.form = form
        self.floor = floor
        self.screen = Screen(floor)


@dataclass(slots=True, kw_only=True)
class Assembled:
    """What a block held up to `consumed`. `inside`: the block ended within a line that is too long, whose rest is to be skipped."""

    consumed: int = 0
    inside: bool = False
    entries: list[Entry] = field(default_factory=list)
    lines: int = 0
    truncated: int = 0
    undecodable: int = 0


def assemble(data: bytes, *, inside: bool, waited_s: float, room_bytes: int, reading: Reading, moment: Moment) -> Assembled:
    """The entries at the start of `data`, about `room_bytes` of them at most.

    `data` is up to BLOCK_BYTES from the position; less means that the file ends there. `waited_s` is how long the file has stood at this position
    with something behind it: in time an entry stops waiting for further lines, and a last line for its end.
    """
    if inside:
        end = data.find(b"\n") + 1
        return Assembled(consumed=end or len(data), inside=not end)
    hole = len(data) - len(data.lstrip(b"\0"))
    if hole >= _HOLE_BYTES:  # left by copytruncate under a writer that does not append
        return Assembled(consumed=hole)
    whole = data.rfind(b"\n") + 1
    if whole:
        settle = waited_s >= JOIN_WAIT_S
        return _assemble_lines(data[:whole], settle=settle, is_full=len(data) >= BLOCK_BYTES, room_bytes=room_bytes, reading=reading, moment=moment)
    return _assemble_partial(data, waited_s=waited_s, reading=reading, moment=moment)


class _Progress:
    """How far into a block everything is settled, and what waits behind that point."""

    def __init__(self) -> None:
        self.settled = Assembled()
        self.boundary = Boundary.AFTER
        self.room_taken = 0
        self._end = self._number = self._undecodable = 0
        self._entries: list[Entry] = []

    def skip(self, raw: bytes) -> None:
        """Pass a line that cannot matter, while nothing waits."""
        self._end += len(raw) + 1
        self._number += 1
        self.settled.consumed, self.settled.lines = self._end, self._number

    def take(self, raw: bytes, *, is_bad: bool, completed: list[Entry], boundary: Boundary) -> None:
        """Count a parsed line, with the entries that it completed."""
        self.boundary = boundary
        self._entries += completed
        self.room_taken += sum(entry.bytes for entry in completed)
        if boundary is Boundary.BEFORE:
            self.settle([])
        self._end += len(raw) + 1
        self._number += 1
        self._undecodable += is_bad
        if boundary is Boundary.AFTER:
            self.settle([])

    def settle(self, flushed: list[Entry]) -> None:
        """Move the settled point to here."""
        self.settled.consumed, self.settled.lines, self.settled.undecodable = self._end, self._number, self._undecodable
        self.settled.entries += self._entries + flushed
        self._entries = []


def _assemble_lines(block: bytes, *, settle: bool, is_full: bool, room_bytes: int, reading: Reading, moment: Moment) -> Assembled:
    if not reading.screen.passes_block(block):
        return Assembled(consumed=len(block), lines=block.count(b"\n"))
    passes = reading.screen.passes_line
    joiner, progress = Joiner(reading.floor), _Progress()
    for raw in block.split(b"\n")[:-1]:
        if progress.boundary is Boundary.AFTER and not passes(raw):
            progress.skip(raw)
            continue
        line, is_bad = _line_of(raw, reading=reading, moment=moment)
        progress.take(raw, is_bad=is_bad, completed=joiner.add(line), boundary=joiner.boundary)
        if progress.room_taken >= room_bytes and progress.boundary is not Boundary.NONE:
            return progress.settled
    if settle or (is_full and not progress.settled.consumed):
        progress.settle(joiner.flush())
    return progress.settled


def _assemble_partial(data: bytes, *, waited_s: float, reading: Reading, moment: Moment) -> Assembled:
    is_long = len(data) >= BLOCK_BYTES
    if not data or not (is_long or waited_s >= PARTIAL_WAIT_S):
        return Assembled()
    found = Assembled(consumed=len(data), lines=1, inside=is_long)
    if reading.screen.passes_line(data):
        line, is_bad = _line_of(data, reading=reading, moment=moment)
        joiner = Joiner(reading.floor)
        found.entries = joiner.add(line) + joiner.flush()
        found.undecodable = int(is_bad)
    found.truncated = int(is_long and not found.entries)  # an entry of this length is shortened, and counted, on its way out
    return found


def _line_of(raw: bytes, *, reading: Reading, moment: Moment) -> tuple[Line, bool]:
    """The parsed line, and whether bytes of it had to be replaced."""
    bare = raw.rstrip(b"\r").lstrip(b"\0")
    text = bare.decode("utf-8", "replace")
    is_bad = len(bare) != len(raw.rstrip(b"\r")) or "\0" in text or "\ufffd" in text
    return parse_line(text.replace("\0", "\ufffd"), form=reading.form, moment=moment), is_bad
