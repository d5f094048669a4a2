"""Settings: one grammar for the configuration of both programs, TOML read into frozen dataclasses.

A settings type stands beside what it configures and declares each key with `setting(...)`; `load` reads a file into it and reports **every**
problem at once, each with its line and the remedy; docs/configuration.md is written from the same declarations.
Durations are written `"10s"`, `"5m"`, `"2h"`, `"90d"` and become seconds; sizes `"256MiB"` become bytes.
"""

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
_Key: TypeAlias = tuple[str | int, ...]


class Form(StrEnum):
    """How a key is written in the file."""

    PLAIN = "plain"
    DURATION = "duration"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration file: where, what, and the remedy. `line` is 1-based, None when the key is absent."""

    path: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"{where}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def setting(
    default: Any = MISSING,
    *,
    help: str,
    form: Form = Form.PLAIN,
    choices: Sequence[str] = (),
    check: Callable[[Any], str | None] | None = None,
    example: str = "",
    key: str = "",
) -> Any:
    """Declare a key of a settings dataclass.

    `default` is written as in the file ("10s" for a duration); a callable default makes a new value each time; without one the key is required.
    `check` gets the parsed value and returns what is wrong with it, with the remedy, or None. What concerns several keys of one table is said by
    a method `problems(self) -> Iterable[tuple[str, str]]` of its dataclass: pairs of key and complaint. `key` is how the file calls the key when
    that cannot be a Python name (`for`).
    """
    metadata = {"help": help, "form": form, "choices": tuple(choices), "check": check, "example": example, "default": default, "key": key}
    if default is MISSING:
        return dataclasses.field(metadata=metadata)
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=_from_text(form, default), metadata=metadata)


def parse_duration(written: str) -> float:
    """Seconds of "250ms", "10s", "5m", "2h", "90d" or a sum such as "1h30m"; ValueError otherwise."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdw])", written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise ValueError(f'{written!r} is not a duration; write it like "10s", "5m", "2h" or "90d"')
    return sum(float(number) * units[unit] for number, unit in parts)


def parse_size(written: str) -> int:
    """Bytes of "512B", "64KiB", "256MiB", "20GiB", "1TiB"; ValueError otherwise."""
    units = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)", written)
    if match is None:
        raise ValueError(f'{written!r} is not a size; write it like "256MiB" or "20GiB"')
    return int(float(match[1]) * (1 << units[match[2]]))


def load(path: Path, into: type[T]) -> T:
    """Read a TOML file into a settings dataclass. ConfigError names every problem; an unreadable file is one of them."""
    return parse(read(path, remedy="create it or name another with --config"), into, path=path)


def read(path: Path, *, remedy: str) -> str:
    """The text of a file that people write; ConfigError when it cannot be had."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(path, None, f"cannot be read: {error.strerror}; {remedy}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(path, None, f"is not UTF-8 text: {error.reason} at byte {error.start}; save it as UTF-8")]) from error


def parse(document: str, into: type[T], *, path: Path) -> T:
    """As `load`, from text; `path` is only named in messages."""
    reader = _Reader(path=path, lines=_lines_by_key(document))
    value = reader.table(_tree(document, path), into, at=())
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    return typing.cast(T, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[T]):
    """One element of an array of tables, and where it stands: `lines` by key, `line` for what is absent."""

    value: T
    line: int
    lines: Mapping[str, int]


def parse_array(document: str, name: str, into: type[T], *, path: Path) -> tuple[Sequence[Entry[T]], Sequence[Problem]]:
    """Read a file that is an array of tables, `[[name]]`: those that are right, and what is wrong with the others, so that the caller can go on
    checking the former and report everything together. ConfigError when it is not TOML at all.
    """
    tree, lines = _tree(document, path), _lines_by_key(document)
    top = _Reader(path=path, lines=lines)
    top.report_unknown(tree, [name], ())
    problems, entries = list(top.problems), []
    for index, table in enumerate(tree.get(name, [])):
        reader = _Reader(path=path, lines=lines)
        value = reader.table(table, into, at=(name, index))
        problems += reader.problems
        if not reader.problems:
            own = {str(key[2]): line for key, line in lines.items() if key[:2] == (name, index) and len(key) == 3}
            entries.append(Entry(value=typing.cast(T, value), line=lines.get((name, index), 1), lines=own))
    return entries, problems


def _tree(document: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(document)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+)", str(error))
        raise ConfigError([Problem(path, int(match[1]) if match else None, f"is not valid TOML: {error}")]) from error


def _from_text(form: Form, written: Any) -> Any:
    if form is Form.PLAIN or written is None:
        return written
    return parse_duration(written) if form is Form.DURATION else parse_size(written)


class _Reader:
    """Walks a parsed TOML tree along a dataclass and collects problems instead of stopping at the first."""

    def __init__(self, *, path: Path, lines: Mapping[_Key, int]) -> None:
        self._path = path
        self._lines = lines
        self.problems: list[Problem] = []

    def table(self, tree: Any, into: Any, *, at: _Key) -> Any:
        if not isinstance(tree, dict):
            return self._wrong(at, f"must be a table; write it as [{_dotted(at)}]")
        before = len(self.problems)
        known = {field.metadata["key"] or field.name: field for field in dataclasses.fields(into)}
        types_by_name = typing.get_type_hints(into)
        self.report_unknown(tree, known, at)
        values: dict[str, Any] = {}
        for key, field in known.items():
            if key in tree:
                values[field.name] = self._key(tree[key], types_by_name[field.name], field.metadata, at=(*at, key))
            elif field.default is MISSING and field.default_factory is MISSING:
                self._wrong((*at, key), f"is missing; it says: {field.metadata['help']}", line_of=at)
        if len(self.problems) > before:
            return None
        value = into(**values)
        for key, complaint in getattr(value, "problems", tuple)():
            self._wrong((*at, key), complaint)
        return value

    def report_unknown(self, tree: Mapping[str, Any], known: Iterable[str], at: _Key) -> None:
        names = list(known)
        for name in tree:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                remedy = f"did you mean {close[0]!r}?" if close else f"the keys here are: {', '.join(names)}"
                self._wrong((*at, name), f"is not a known key; {remedy}")

    def _key(self, raw: Any, wanted: Any, metadata: Mapping[str, Any], *, at: _Key) -> Any:
        before = len(self.problems)
        value = self._typed(raw, wanted, metadata["form"], at=at)
        if len(self.problems) > before:
            return None
        choices = metadata["choices"]
        if choices and value not in choices:
            return self._wrong(at, f"is {value!r}; it must be one of {', '.join(choices)}")
        complaint = metadata["check"](value) if metadata["check"] else None
        return self._wrong(at, complaint) if complaint else value

    def _typed(self, raw: Any, wanted: Any, form: Form, *, at: _Key) -> Any:
        origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
        if origin in (types.UnionType, typing.Union):
            return self._typed(raw, next(a for a in arguments if a is not type(None)), form, at=at)
        if dataclasses.is_dataclass(wanted):
            return self.table(raw, wanted, at=at)
        if origin in (list, tuple):
            if not isinstance(raw, list):
                return self._wrong(at, "must be a list; put it in [ ]")
            return tuple(self._typed(item, arguments[0], form, at=(*at, index)) for index, item in enumerate(raw))
        if origin is dict:
            if not isinstance(raw, dict):
                return self._wrong(at, f"must be a table; write it as [{_dotted(at)}]")
            return {name: self._typed(item, arguments[1], form, at=(*at, name)) for name, item in raw.items()}
        return self._scalar(raw, wanted, at=at) if form is Form.PLAIN else self._measured(raw, form, at=at)

    def _measured(self, raw: Any, form: Form, *, at: _Key) -> Any:
        if not isinstance(raw, str):
            example = '"10s"' if form is Form.DURATION else '"256MiB"'
            return self._wrong(at, f"is {raw!r}; a {form} is written as text with its unit, like {example}")
        try:
            return _from_text(form, raw)
        except ValueError as error:
            return self._wrong(at, f"is not right: {error}")

    def _scalar(self, raw: Any, wanted: Any, *, at: _Key) -> Any:
        if wanted is Path and isinstance(raw, str):
            return Path(raw)
        if wanted is float and isinstance(raw, int) and not isinstance(raw, bool):
            return float(raw)
        if isinstance(wanted, type) and issubclass(wanted, StrEnum):
            if raw in [member.value for member in wanted]:
                return wanted(raw)
            return self._wrong(at, f"is {raw!r}; it must be one of {', '.join(wanted)}")
        if isinstance(raw, wanted) and not (wanted is int and isinstance(raw, bool)):
            return raw
        words = {str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false", Path: "a path in quotes"}
        return self._wrong(at, f"is {raw!r}; it must be {words.get(wanted, wanted)}")

    def _wrong(self, at: _Key, message: str, *, line_of: _Key | None = None) -> None:
        line = self._line(at if line_of is None else line_of)
        self.problems.append(Problem(self._path, line, f"{_dotted(at)} {message}"))

    def _line(self, at: _Key) -> int | None:
        while at:
            if at in self._lines:
                return self._lines[at]
            at = at[:-1]
        return None


def _dotted(at: _Key) -> str:
    parts = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in at)
    return parts.removeprefix(".")


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def _lines_by_key(document: str) -> dict[_Key, int]:
    """Where each key stands. tomllib gives no lines, so this reads headers and assignments alone; the document is already known to be TOML."""
    lines: dict[_Key, int] = {}
    counts: dict[_Key, int] = {}
    table: _Key = ()
    for number, line in enumerate(document.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _resolve(_parts(header[2]), counts)
            if header[1] == "[[":
                lines.setdefault(table, number)
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *_parts(assignment[1])), number)
    return lines


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]


def _resolve(parts: Sequence[str], counts: Mapping[_Key, int]) -> _Key:
    """A header below an array of tables belongs to the newest element of the array."""
    key: _Key = ()
    for index, part in enumerate(parts):
        key = (*key, part)
        if key in counts and index < len(parts) - 1:
            key = (*key, counts[key])
    return key
