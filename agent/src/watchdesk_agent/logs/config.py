"""The `[[log]]` tables of the agent's configuration: which files are followed, and what of them may leave the host."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from watchdesk_proto.settings import Form, setting

from watchdesk_agent.logs.parse import Format
from watchdesk_agent.logs.severity import Severity


class StartAt(StrEnum):
    """Where a file is read from when it is seen for the first time."""

    END = "end"
    BEGINNING = "beginning"


def _check_files(patterns: Sequence[str]) -> str | None:
    if not patterns:
        return 'names no file; write patterns like "/var/log/*.log"'
    relative = [pattern for pattern in patterns if not pattern.startswith("/")]
    return f"has {relative[0]!r}, which is not absolute; start it with /" if relative else None


def _check_patterns(patterns: Sequence[str]) -> str | None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"has {pattern!r}, which is not a regular expression: {error}"
    return None


def _check_positive(value: int) -> str | None:
    return None if value > 0 else f"is {value}; it must be more than 0"


def _check_entry_size(value: int) -> str | None:
    return None if 256 <= value <= 262_144 else 'must be between "256B" and "256KiB"'


def check_sources(sources: Sequence["LogConfig"]) -> str | None:
    """For the key that holds all of them: names tell sources apart, in history and in the spool's positions."""
    names = [source.name for source in sources if source is not None]
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"has two sources named {twice[0]!r}; give each its own name" if twice else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """One source of log entries."""

    name: str = setting(
        help="what history calls this source",
        check=lambda name: None if re.fullmatch(r"[\w.-]{1,64}", name) else "may hold letters, digits, '_', '.' and '-' only, at most 64",
        example="nginx",
    )
    files: tuple[str, ...] = setting(
        help="patterns of absolute paths; * ? [] and ** as in the shell; compressed files are passed over, rotated ones are read to their end",
        check=_check_files,
        example='["/var/log/nginx/error.log"]',
    )
    severity: Severity = setting(
        Severity.ERROR,
        help="the lowest severity that leaves the host; a line that states none counts as info",
        choices=("info", "warning", "error", "critical"),
    )
    format: Format = setting(Format.AUTO, help="how lines are written: auto looks at each line")
    start_at: StartAt = setting(
        StartAt.END, help="where a file is read from that was there before the source; files that come later are read from their beginning"
    )
    max_lines_per_minute: int = setting(
        600, help="more entries than these are dropped and counted; lines that are joined count as one", check=_check_positive
    )
    max_entry: int = setting("16KiB", help="a longer entry is cut, with a mark where", form=Form.SIZE, check=_check_entry_size)
    mask: tuple[str, ...] = setting(
        (),
        help="regular expressions of further secrets; all that matches becomes ***, but for what a group named keep matched",
        check=_check_patterns,
    )
