"""Secrets do not leave the host: what looks like one becomes `***` before an entry goes anywhere.

Before it: `join`, which hands over whole entries. After it: the row. Invariant: pure; every pattern is linear in the text, masking never grows it
by more than the `***`s, and it runs before an entry is shortened, so that no half of a secret is left at the cut.
"""

import re
from collections.abc import Sequence

MASK = "***"

_NAME = (
    r"(?:[\w.-]{0,40}(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)(?:[_-]?(?:key|hash|value))?"
    r"|authorization|auth)"
)
_QUOTED = r'\\"(?:(?!\\")[^\n]){0,4096}(?:\\")?|"(?:[^"\\]|\\.){0,4096}"?|\'(?:[^\'\\]|\\.){0,4096}\'?'
_VALUE = rf"(?:{_QUOTED}|[^\s,;&\"')}}\]]+)"
_SCHEME = r"(?:bearer|basic|digest|negotiate|token)"

BUILTIN: tuple[re.Pattern[str], ...] = (
    re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"),
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,200}:)[^\s/\"']{1,400}(?=@)", re.IGNORECASE),
    re.compile(rf"(?P<keep>\bauthorization\\?[\"']?\s{{0,4}}[=:]\s{{0,4}}\\?[\"']?{_SCHEME}\s+)[^\s\"',;]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bbearer\s+)(?=[^\s\d]{0,512}\d)[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(?P<keep>\b(?:set-)?cookie\\?[\"']?\s{0,4}[=:]\s{0,4})[^\r\n]+", re.IGNORECASE),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    re.compile(r"\b(?:gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}|sk-[\w-]{20,}|sk_live_\w{10,})"),
    re.compile(rf"(?P<keep>(?<!\S)--?{_NAME}\s{{1,4}})(?!-){_VALUE}", re.IGNORECASE),
    re.compile(rf"(?P<keep>(?<![\w.-]){_NAME}\\?[\"']?\s{{0,4}}(?:=>|:=|[=:])\s{{0,4}})(?!\\?[\"']?{_SCHEME}\s|\*\*\*){_VALUE}", re.IGNORECASE),
)
"""One form of secret each. What a group named `keep` matched is left in place: the name of a password, the user of an address."""


class Masker:
    """Replaces secrets by `***`: the built-in forms, then the configured patterns."""

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self._patterns = (*BUILTIN, *(re.compile(pattern) for pattern in extra))

    def mask(self, text: str) -> tuple[str, int]:
        """The text without its secrets, and how many there were."""
        total = 0
        for pattern in self._patterns:
            text, count = pattern.subn(_replacement, text)
            total += count
        return text, total


def _replacement(match: re.Match[str]) -> str:
    return (match["keep"] + MASK) if "keep" in match.re.groupindex else MASK
