"""Which stretch of time a query looks at, read from its WHERE where that is simple; so that only those files and hot rows are handed to it.

Invariant: rows outside the range change nothing in the query's answer. Whatever is not surely understood counts as "all of history".
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import duckdb

from watchdesk_collector.clock import from_us

Node: TypeAlias = Mapping[str, Any]

_LOWER = {"COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_EQUAL"}
_UPPER = {"COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO", "COMPARE_EQUAL"}
_MIRRORED = {
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_EQUAL": "COMPARE_EQUAL",
}
_PLAIN_JOINS = {"REGULAR", "CROSS"}  # an ASOF or POSITIONAL join picks among rows, so leaving some out changes its pick
_CLOCKS = {"now", "current_timestamp", "get_current_timestamp", "transaction_timestamp", "current_date", "today"}
_ARITHMETIC = {"+", "-", "*", "trunc", "date_trunc", "to_timestamp"}
_INTERVALS = {
    f"to_{unit}" for unit in ("microseconds", "milliseconds", "seconds", "minutes", "hours", "days", "weeks", "months", "quarters", "years")
}
_SLACK = timedelta(minutes=1)  # the worker asks its own clock, a moment later


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """From `since` to `until`, None where open."""

    since: datetime | None = None
    until: datetime | None = None


def time_range(nodes: Sequence[Node], tables: Collection[str], cursor: duckdb.DuckDBPyConnection) -> TimeRange:
    """The range that covers what every mention of the tables looks at. `nodes` are all of the tree; the cursor evaluates constants."""
    by_mention = {id(node): TimeRange() for node in nodes if node["type"] == "BASE_TABLE" and node["table_name"].lower() in tables}
    for node in nodes:
        if node["type"] == "SELECT_NODE":
            by_mention |= {key: found for key, found in _ranges_of_select(node, cursor).items() if key in by_mention}
    ranges = list(by_mention.values())
    since = [found.since for found in ranges if found.since is not None]
    until = [found.until for found in ranges if found.until is not None]
    return TimeRange(
        since=min(since) - _SLACK if since and len(since) == len(ranges) else None,
        until=max(until) + _SLACK if until and len(until) == len(ranges) else None,
    )


def _ranges_of_select(select: Node, cursor: duckdb.DuckDBPyConnection) -> dict[int, TimeRange]:
    sources = _joined_tables(select["from_table"])
    if not sources:
        return {}
    conditions = list(_conjuncts(select["where_clause"]))
    return {id(table): _range_of(table, conditions, cursor, is_alone=len(sources) == 1) for table in sources}


def _joined_tables(relation: Node) -> list[Node]:
    """The tables of a FROM, when it is one table or plain joins of tables; else nothing."""
    if relation["type"] == "BASE_TABLE":
        return [relation] if relation["sample"] is None and not relation["column_name_alias"] else []
    if relation["type"] == "JOIN" and relation["ref_type"] in _PLAIN_JOINS:
        left, right = _joined_tables(relation["left"]), _joined_tables(relation["right"])
        return [*left, *right] if left and right else []
    return []


def _conjuncts(condition: Node | None) -> Iterator[Node]:
    if condition is None:
        return
    if condition["type"] == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from _conjuncts(child)
    else:
        yield condition


def _range_of(table: Node, conditions: Sequence[Node], cursor: duckdb.DuckDBPyConnection, *, is_alone: bool) -> TimeRange:
    since: list[datetime] = []
    until: list[datetime] = []
    for column, kind, value in _comparisons(conditions):
        if not _is_ts_of(column, table, is_alone=is_alone):
            continue
        at = _evaluate(value, cursor)
        if at is None:
            continue
        if kind in _LOWER:
            since.append(at)
        if kind in _UPPER:
            until.append(at)
    return TimeRange(since=max(since, default=None), until=min(until, default=None))


def _comparisons(conditions: Sequence[Node]) -> Iterator[tuple[Node, str, Node]]:
    """Each as (column, comparison, value), whichever side the column stands on."""
    for condition in conditions:
        if condition["type"] == "COMPARE_BETWEEN":
            yield condition["input"], "COMPARE_GREATERTHANOREQUALTO", condition["lower"]
            yield condition["input"], "COMPARE_LESSTHANOREQUALTO", condition["upper"]
        elif condition["type"] in _MIRRORED:
            yield condition["left"], condition["type"], condition["right"]
            yield condition["right"], _MIRRORED[condition["type"]], condition["left"]


def _is_ts_of(column: Node, table: Node, *, is_alone: bool) -> bool:
    if column["type"] != "COLUMN_REF":
        return False
    names = [name.lower() for name in column["column_names"]]
    called = (table["alias"] or table["table_name"]).lower()
    return names == [called, "ts"] or (is_alone and names == ["ts"])


def _evaluate(value: Node, cursor: duckdb.DuckDBPyConnection) -> datetime | None:
    """The moment that a constant expression means, None when it is none, or not surely cheap to know."""
    if not _is_constant(value):
        return None
    try:
        template = json.loads(cursor.execute("SELECT json_serialize_sql('SELECT epoch_us(CAST(0 AS TIMESTAMPTZ)) AS at_us')").fetchall()[0][0])
        template["statements"][0]["node"]["select_list"][0]["children"][0]["child"] = value
        rows = cursor.execute("SELECT at_us FROM json_execute_serialized_sql(?)", [json.dumps(template)]).fetchall()
        return from_us(rows[0][0])
    except (duckdb.Error, TypeError, OverflowError, ValueError, OSError):
        return None


def _is_constant(value: Node) -> bool:
    match value.get("class"):
        case "CONSTANT":
            return True
        case "CAST":
            return _is_constant(value["child"])
        case "COLUMN_REF":
            return [name.lower() for name in value["column_names"]] in (["current_timestamp"], ["current_date"])
        case "FUNCTION":
            is_known = value["function_name"].lower() in _CLOCKS | _ARITHMETIC | _INTERVALS
            return is_known and all(_is_constant(child) for child in value["children"])
    return False
