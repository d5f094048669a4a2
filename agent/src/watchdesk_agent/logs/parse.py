"""One line of a log file, understood: when, how bad, from whom, what.

Before it: `assemble`, which cut the line. After it: `join`. Invariant: pure and total: every text is a line of some form, in the last resort a
message without time or severity.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

from watchdesk_agent.logs.severity import Severity, severity_of_bunyan, severity_of_python, severity_of_syslog, severity_of_text, severity_of_word
from watchdesk_agent.logs.timestamps import Stamp, read_epoch, read_stamp


class Format(StrEnum):
    """How the lines of a file are written; `auto` looks at each line."""

    AUTO = "auto"
    SYSLOG = "syslog"
    JSON = "json"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line and what it says of itself; None where it says nothing. `stream` tells writers apart that share a file: only lines of one stream are
    joined.
    """

    message: str
    severity: Severity | None = None
    at_us: int | None = None
    unit: str | None = None
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a time without year or zone is completed from: the time of reading and the host's zone (None: what the system says)."""

    now_us: int
    zone: tzinfo | None = None


def parse_line(text: str, *, form: Format, moment: Moment) -> Line:
    """The line in the wanted form; a line that is not in that form is read as plain text."""
    for read in _READERS[form]:
        line = read(text, moment)
        if line is not None:
            return line
    return Line(message=text, severity=severity_of_text(text))


# RFC 5424 and RFC 3164, on the wire and in the files of syslogd, rsyslog and syslog-ng

_PRIORITY = re.compile(r"<(\d{1,3})>")
_NEW = re.compile(
    r"1 (?P<stamp>\S+) \S+ (?P<app>\S+) (?P<pid>\S+) \S+ (?:-|(?:\[(?:[^\]\\\"]|\"(?:[^\"\\]|\\.)*\")*\])+)(?: (?P<message>.*))?$", re.DOTALL
)
_TAGGED = re.compile(r"\s+(?P<host>[\w.:-]+) (?P<tag>[\w./@+-]+)(?:\[(?P<pid>[\w.-]+)\])?: ?(?P<message>.*)", re.DOTALL)
_SYSLOG_TIME = re.compile(r"[A-Z][a-z]{2} |\d{4}-\d\d-\d\dT")
_TAG_ONLY = re.compile(r"(?P<tag>[\w./@+-]+)\[(?P<pid>[\w.-]+)\]: ?(?P<message>.*)", re.DOTALL)


def _read_prioritised(text: str, moment: Moment) -> Line | None:
    """A line that starts with `<PRI>`, as on the wire; services may also write it to stderr."""
    priority = _PRIORITY.match(text)
    if priority is None:
        return None
    severity = severity_of_syslog(int(priority[1]) % 8)
    rest = text[priority.end() :]
    if new := _NEW.match(rest):
        stamp = _stamp(new["stamp"], moment)
        message = (new["message"] or "").removeprefix("\ufeff")
        return _tagged_line(new["app"], new["pid"], message, at_us=stamp.at_us if stamp else None, severity=severity)
    stamp = _stamp(rest, moment)
    return (_tagged(rest, stamp, severity) if stamp else None) or _short(rest, stamp, severity)


def _read_stamped(text: str, moment: Moment) -> Line | None:
    """A time first: then host and tag as in syslog's files, or anything."""
    stamp = _stamp(text, moment)
    if stamp is None:
        return None
    return _tagged(text, stamp, None) or _untagged(text, stamp)


def _tagged(text: str, stamp: Stamp, severity: Severity | None) -> Line | None:
    """Host and tag behind the time, where the time is written as syslog daemons do."""
    if not _SYSLOG_TIME.match(text):
        return None
    match = _TAGGED.match(text, stamp.end)
    if match is None or severity_of_word(match["host"]) or severity_of_word(match["tag"]):
        return None  # "…T13:00:00Z ERROR app: x" is a plain line, not of a host named ERROR
    return _tagged_line(match["tag"], match["pid"], match["message"], at_us=stamp.at_us, severity=severity)


def _short(text: str, stamp: Stamp | None, severity: Severity | None) -> Line:
    """What follows a priority when the header is short: a tag alone, as written to /dev/log, or nothing but the message."""
    body = text[stamp.end :].lstrip() if stamp else text
    at_us = stamp.at_us if stamp else None
    if tag := _TAG_ONLY.match(body):
        return _tagged_line(tag["tag"], tag["pid"], tag["message"], at_us=at_us, severity=severity)
    return Line(message=body, severity=severity, at_us=at_us)


def _tagged_line(tag: str, pid: str | None, message: str, *, at_us: int | None, severity: Severity | None) -> Line:
    return Line(
        message=message, severity=severity or severity_of_text(message), at_us=at_us, unit=None if tag == "-" else tag, stream=f"{tag}[{pid}]"
    )


# JSON lines

_LEVEL_KEYS = ("level", "severity", "levelname", "log.level", "lvl", "loglevel", "log_level", "@level", "PRIORITY", "levelno")
_TIME_KEYS = ("timestamp", "time", "ts", "@timestamp", "datetime", "date", "asctime", "t")
_MESSAGE_KEYS = ("message", "msg", "@message", "MESSAGE", "event", "log", "text", "err", "error")
_UNIT_KEYS = ("logger", "service", "unit", "SYSLOG_IDENTIFIER", "logger_name", "name", "app", "component")
_TRACE_KEYS = ("exception", "exc_info", "traceback", "stack_trace", "stacktrace", "stack", "error.stack_trace")
_NUMBERED: Mapping[str, Callable[[int], Severity | None]] = {
    "PRIORITY": severity_of_syslog,
    "severity": severity_of_syslog,
    "levelno": severity_of_python,
}


def _read_json(text: str, moment: Moment) -> Line | None:
    if not text.startswith("{"):
        return None
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    message = _text_of(fields, _MESSAGE_KEYS)
    trace = _text_of(fields, _TRACE_KEYS)
    body = "\n".join(part for part in (message, trace) if part) or text
    severity = _level_of(fields) or severity_of_text(body)
    return Line(
        message=body.rstrip("\n"), severity=severity, at_us=_time_of(fields, moment), unit=_text_of(fields, _UNIT_KEYS), stream=_stream_of(fields)
    )


def _stream_of(fields: Mapping[str, object]) -> str:
    """Docker's log driver says `stream`: what a container wrote to stdout and to stderr is interleaved."""
    stream = fields.get("stream")
    return stream if isinstance(stream, str) else ""


def _text_of(fields: Mapping[str, object], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = fields.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict | list) and value:
            return json.dumps(value, ensure_ascii=False)
    return None


def _level_of(fields: Mapping[str, object]) -> Severity | None:
    nested = fields.get("log")
    flat = {**fields, "log.level": nested["level"]} if isinstance(nested, dict) and "level" in nested else fields
    for key in _LEVEL_KEYS:
        severity = _level(key, flat.get(key))
        if severity is not None:
            return severity
    return None


def _level(key: str, value: object) -> Severity | None:
    if isinstance(value, str) and not value.isdecimal():
        return severity_of_word(value)
    if isinstance(value, int | str) and not isinstance(value, bool) and len(str(value)) <= 3:
        return _NUMBERED.get(key, severity_of_bunyan)(int(value))
    return None


def _time_of(fields: Mapping[str, object], moment: Moment) -> int | None:
    for key in _TIME_KEYS:
        value = fields.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return read_epoch(value)
        if isinstance(value, str) and (stamp := _stamp(value, moment)):
            return stamp.at_us
    return None


# "LEVEL message", with or without a time before it


def _read_timed(text: str, moment: Moment) -> Line | None:
    stamp = _stamp(text, moment)
    return None if stamp is None else _untagged(text, stamp)


def _untagged(text: str, stamp: Stamp) -> Line:
    body = text[stamp.end :].lstrip(" ")
    has_letter = text[0] in "IWEF" and text[1:2].isdecimal()  # glog's level stands in its time
    return Line(message=body, severity=severity_of_text(text if has_letter else body), at_us=stamp.at_us)


def _stamp(text: str, moment: Moment) -> Stamp | None:
    return read_stamp(text, now_us=moment.now_us, zone=moment.zone)


_READERS: Mapping[Format, tuple[Callable[[str, Moment], Line | None], ...]] = {
    Format.AUTO: (_read_json, _read_prioritised, _read_stamped),
    Format.SYSLOG: (_read_prioritised, _read_stamped),
    Format.JSON: (_read_json, _read_timed),
    Format.PLAIN: (_read_timed,),
}
