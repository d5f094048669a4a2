"""How bad an entry is: every logging dialect's word or number for it, brought to one scale.

Before it: `parse`, which knows where in a line a level stands. After it: the comparison with the configured severity. Invariant: pure, and what is
not recognised is None, never a guess; the caller decides what an unmarked line counts as.
"""

import re
from enum import StrEnum


class Severity(StrEnum):
    """Least to most severe. `debug` is recognised so that it can be left on the host: it is below everything that can be configured."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for debug … 4 for critical."""
        return _RANKS[self]

    def at_least(self, floor: "Severity") -> bool:
        """Whether this is as severe as `floor` or more."""
        return _RANKS[self] >= _RANKS[floor]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}

_WORDS = {
    Severity.DEBUG: ("debug", "trace", "verbose", "fine", "finer", "finest", "dbug", "dbg"),
    Severity.INFO: ("info", "information", "informational", "notice", "note", "log", "config", "hint", "detail", "statement"),
    Severity.WARNING: ("warn", "warning"),
    Severity.ERROR: ("err", "error", "severe", "failure"),
    Severity.CRITICAL: ("crit", "critical", "fatal", "panic", "alert", "emerg", "emergency"),
}
_BY_WORD = {word: severity for severity, words in _WORDS.items() for word in words}
_SYSLOG = (Severity.CRITICAL,) * 3 + (Severity.ERROR, Severity.WARNING, Severity.INFO, Severity.INFO, Severity.DEBUG)

_ANY = "|".join(sorted(_BY_WORD, key=len, reverse=True))
_HEAD_CHARS = 160  # a level stands before the message; further in, the words are part of what is being told
_FIELD = re.compile(rf"""(?<![\w.-])["']?(?:log[._]?level|level(?:name)?|lvl|severity|loglevel)["']?\s*[=:]\s*["']?({_ANY})\b""", re.IGNORECASE)
_BRACKETED = re.compile(rf"[\[<(|]\s*(?:[\w.-]+:)?({_ANY})\s*[\]>)|]", re.IGNORECASE)
_SHOUTED = re.compile(rf"(?<![\w/.=-])({_ANY.upper()})(?![\w/.=-]|\s*=)")
_QUIET_SHOUTS = frozenset(
    {"LOG", "NOTE", "CONFIG", "HINT", "DETAIL", "STATEMENT", "FINE", "FAILURE", "ALERT", "INFORMATION"}
)  # also plain words: need a colon
_OPENING = re.compile(rf"\s*(?:[\w.\-/]+(?:\[\d+\])?: )?({_ANY}):\s", re.IGNORECASE)
_GLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d")
_GLOG_LETTERS = {"I": Severity.INFO, "W": Severity.WARNING, "E": Severity.ERROR, "F": Severity.CRITICAL}
_EXCEPTION = re.compile(r"(?:Uncaught |Unhandled |Exception in thread \"[^\"]*\" )?(?:[A-Za-z_][\w$]*\.)*[A-Z][\w$]*(?:Error|Exception)(?::|$)")
_KERNEL = re.compile(r"(?:\[\s*\d+\.\d+\] )?(?:Out of memory: |Memory cgroup out of memory: |Kernel panic|BUG: |Oops: |.{0,60}\bsegfault at )")


def severity_of_word(word: str) -> Severity | None:
    """The severity that a level's name means, in any case."""
    return _BY_WORD.get(word.strip().lower())


def severity_of_syslog(code: int) -> Severity | None:
    """**Source**: RFC 5424, table 2: 0 emergency … 7 debug."""
    return _SYSLOG[code] if 0 <= code <= 7 else None


def severity_of_bunyan(level: int) -> Severity | None:
    """**Source**: the numbers of bunyan and pino: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal."""
    if not 10 <= level <= 100:
        return None
    return (Severity.DEBUG, Severity.DEBUG, Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL)[min(level // 10, 6) - 1]


def severity_of_python(level: int) -> Severity | None:
    """**Source**: the numbers of Python's logging: 10 DEBUG … 50 CRITICAL."""
    if not 1 <= level <= 100:
        return None
    return (Severity.DEBUG, Severity.DEBUG, Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL)[min(level // 10, 5)]


def severity_of_text(message: str) -> Severity | None:
    """The severity that a free-form message states about itself in its first 160 characters.

    A field (`level=error`) is believed first, then the leftmost of a bracketed level, a level in capitals, and an opening `error: `; last, an
    exception's name at the very start, and the kernel's own words for the gravest things, which carry no level in a file.
    """
    head = message[:_HEAD_CHARS]
    if field := _FIELD.search(head):
        return severity_of_word(field[1])
    if glog := _GLOG.match(head):
        return _GLOG_LETTERS[glog[1]]
    if stated := _leftmost(head):
        return severity_of_word(stated)
    if _EXCEPTION.match(head):
        return Severity.ERROR
    return Severity.ERROR if _KERNEL.match(head) else None


def _leftmost(head: str) -> str | None:
    found = [match for match in (_OPENING.match(head), _BRACKETED.search(head), _shouted(head)) if match]
    return min(found, key=lambda match: match.start(1))[1] if found else None


def _shouted(head: str) -> "re.Match[str] | None":
    for match in _SHOUTED.finditer(head):
        if match[1] not in _QUIET_SHOUTS or head[match.end() : match.end() + 1] == ":":
            return match
    return None
