"""The cheap look: whether bytes can hold anything at or above the configured severity, before they are decoded and parsed.

Before it: a block as read from the file. After it: `assemble`, which parses only what this lets through. Invariant: it may let through too much and
never too little: each word, number and phrase that `parse` takes for a severity of the floor or above is in the pattern (a test walks them).
"""

import re

from watchdesk_agent.logs.severity import Severity

_GRAVE = rb"crit|fatal|panic|alert|emerg"
_BAD = rb"err|severe|exception|failure|traceback|out of memory|bug: |oops: |segfault"
_WARN = rb"warn"
_NUMBER = rb'(?:level|lvl)"\s*:\s*"?[%b]\d|levelno"\s*:\s*"?[%b]\d|severity"\s*:\s*"?[0-%b]|priority"\s*:\s*"?[0-%b]'
_PATTERNS = {
    Severity.CRITICAL: b"|".join((_GRAVE, _BAD, _NUMBER % (b"1-9", b"1-9", b"2", b"2"))),  # a traceback may follow, and raises what precedes it
    Severity.ERROR: b"|".join((_GRAVE, _BAD, _NUMBER % (b"15-9", b"14-9", b"3", b"3"))),
    Severity.WARNING: b"|".join((_GRAVE, _BAD, _WARN, _NUMBER % (b"14-9", b"13-9", b"4", b"4"))),
}
_FIRST_BYTES = b"<IWEF"  # a syslog priority, or glog's letter: what they mean is for the parser to say


class Screen:
    """Tells what cannot matter. At `info` everything can: a line without a severity counts as info."""

    def __init__(self, floor: Severity) -> None:
        pattern = _PATTERNS.get(floor)
        self._search = None if pattern is None else re.compile(pattern).search

    def passes_block(self, block: bytes) -> bool:
        """Whether any line of the block can matter."""
        if self._search is None or self._search(block.lower()):
            return True
        return any(block.startswith(b"%c" % byte) or (b"\n%c" % byte) in block for byte in _FIRST_BYTES)

    def passes_line(self, line: bytes) -> bool:
        """Whether this line can matter."""
        return self._search is None or line[:1] in _FIRST or self._search(line.lower()) is not None


_FIRST = frozenset(b"%c" % byte for byte in _FIRST_BYTES)
