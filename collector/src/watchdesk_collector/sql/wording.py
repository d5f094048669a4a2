"""Saying what is wrong with a query: DuckDB's words without its noise, the place in the text, and the nearest names."""

import difflib
from collections.abc import Collection

from watchdesk_collector.sql.job import OUT_OF_MEMORY, Problem
from watchdesk_collector.sql.model import Fault, SqlError

_MOST_NAMES = 24
_EXCERPT_BEFORE = 60
_EXCERPT_AFTER = 40


def nearest(name: str, names: Collection[str], *, what: str) -> str:
    """The end of a sentence about a name that does not exist: what may have been meant, or what there is."""
    close = difflib.get_close_matches(name.lower(), sorted(names), n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    if not names or len(names) > _MOST_NAMES:
        return ""
    return f"; the {what} are {', '.join(sorted(names))}"


def error_at(fault: Fault, message: str, query: str, position: int | None) -> SqlError:
    """An error that points into the query. **Units**: `position` counts characters from 0."""
    if position is None or not 0 <= position <= len(query):
        return SqlError(fault=fault, message=message)
    start = query.rfind("\n", 0, position) + 1
    end = query.find("\n", position)
    text = query[start : len(query) if end < 0 else end]
    line, column = query.count("\n", 0, position) + 1, position - start + 1
    return SqlError(fault=fault, message=message, line=line, column=column, excerpt=_excerpt(text, column - 1))


def explain(problem: Problem, query: str, columns: Collection[str]) -> SqlError:
    """What DuckDB says of a query, for people. `columns` are those of the tables that the query names."""
    position = _in_characters(query, problem.position)
    if problem.kind == OUT_OF_MEMORY:
        return SqlError(fault=Fault.MEMORY, message="the query needs more memory than one may have; narrow it, or raise sql.memory_limit")
    if problem.kind == "IO":
        return SqlError(fault=Fault.HISTORY, message=f"history's files cannot be read: {_first_line(problem.message)}")
    return error_at(Fault.QUERY, _message(problem, query, position, columns), query, position)


def _message(problem: Problem, query: str, position: int | None, columns: Collection[str]) -> str:
    if problem.subtype == "COLUMN_NOT_FOUND" and problem.name:
        if position is not None and query[position : position + 1] == '"':
            return f"there is no column \"{problem.name}\"; if it is a text, write it in single quotes: '{problem.name}'"
        return f'there is no column "{problem.name}"{nearest(problem.name, columns or _listed(problem.candidates), what="columns")}'
    if problem.subtype == "MISSING_ENTRY":
        what = problem.entry.lower().replace("scalar ", "").replace("aggregate ", "")
        return f'there is no {what} "{problem.name}"{nearest(problem.name, _listed(problem.candidates), what=f"{what}s")}'
    if problem.kind == "Permission":
        return "a query cannot reach files or other machines"
    return _first_line(problem.message)


def _listed(candidates: str) -> list[str]:
    return [name.strip() for name in candidates.split(",") if name.strip()]


def _first_line(message: str) -> str:
    return message.split("\n", 1)[0].removesuffix(" You might need to add explicit type casts.").rstrip("! ")


def _in_characters(query: str, position: int) -> int | None:
    encoded = query.encode()
    return len(encoded[:position].decode(errors="ignore")) if 0 <= position <= len(encoded) else None


def _excerpt(text: str, column: int) -> str:
    """The line, shortened around the column, and a caret below it."""
    start = max(0, column - _EXCERPT_BEFORE)
    shown = text[start : column + _EXCERPT_AFTER].replace("\t", " ")
    before, after = "…" if start else "", "…" if column + _EXCERPT_AFTER < len(text) else ""
    return f"{before}{shown}{after}\n{' ' * (len(before) + column - start)}^"
