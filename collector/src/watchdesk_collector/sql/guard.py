"""What a query may be: an allow-list over the tree that DuckDB's own parser makes of it.

The tree comes from `json_serialize_sql` on an in-memory instance that holds nothing and may reach nothing. Invariant: a kind of node, a table or a
table function that is not listed here is refused, so what a newer DuckDB adds is refused until somebody has looked at it. Scalar functions are
many and harmless, but for the listed ones.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import duckdb

from watchdesk_collector.sql.projection import columns_read
from watchdesk_collector.sql.timerange import TimeRange, time_range
from watchdesk_collector.sql.wording import nearest

MAX_QUERY_BYTES = 64 << 10  # more parses well, but no person writes it

Node: TypeAlias = Mapping[str, Any]

_STATEMENT_KINDS = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_RELATION_KINDS = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "SHOW_REF"})
_MODIFIER_KINDS = frozenset({"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"})
_ORDER_KINDS = frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING"})
_EXPRESSION_CLASSES = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "LAMBDA_REF",
        "OPERATOR",
        "POSITIONAL_REFERENCE",
        "STAR",
        "SUBQUERY",
        "WINDOW",
    }
)
_TABLE_FUNCTIONS = frozenset({"generate_series", "json_each", "json_tree", "range", "unnest"})
_DENIED_FUNCTIONS = frozenset(
    {
        "currval",
        "current_setting",
        "getenv",
        "getvariable",
        "json_deserialize_sql",
        "json_execute_serialized_sql",
        "json_serialize_plan",
        "json_serialize_sql",
        "nextval",
        "pg_sleep",
        "query",
        "query_table",
        "sleep_ms",
        "write_log",
    }
)
_DENIED_PREFIX = "__internal_"  # DuckDB's own (de)compression, which trusts its input
_SHOWN = frozenset({"tables", "__show_tables_expanded"})
_INFORMATION_SCHEMA = frozenset({"columns", "tables"})
_ONLY_SELECT = "only queries are answered here: SELECT, WITH … SELECT, FROM, VALUES, DESCRIBE, SUMMARIZE and SHOW TABLES"
_TOO_DEEP = "the query is nested too deeply; split it with WITH"
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "256MiB",
    "temp_directory": "",
    "python_enable_replacements": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """A query that may run: the tables that it names, of those that exist, and the range of ts outside which it surely looks at nothing."""

    tables: frozenset[str]
    ts: TimeRange
    columns: frozenset[str] | None  # that it can read, whatever table they are of; None for all
    lists_tables: bool  # SHOW TABLES and the like: every table has to be there, if only by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A query that may not run. **Units**: `position` counts characters from 0, None when it is the whole query."""

    message: str
    position: int | None = None


class Guard:
    """Usable from any thread; each check has its own cursor."""

    def __init__(self) -> None:
        self._parser = duckdb.connect(":memory:", config=_SETTINGS)
        for statement in ("SET TimeZone = 'UTC'", "SET enable_external_access = false", "SET lock_configuration = true"):
            self._parser.execute(statement)

    def check(self, query: str, tables: Collection[str]) -> Permitted | Refusal:
        """Judge a query against the tables that exist."""
        if "\0" in query:
            return Refusal(message="the query contains a NUL character; remove it", position=query.index("\0"))
        with self._parser.cursor() as cursor:
            tree = _parse(cursor, query)
            if isinstance(tree, Refusal):
                return tree
            nodes = list(_walk(tree))
            known = {table.lower() for table in tables}
            refused = next(_refusals(nodes, known), None)
            if refused is not None:
                return _placed(refused, query)
            named = frozenset(node["table_name"].lower() for node in nodes if node["type"] == "BASE_TABLE") & known
            return Permitted(
                tables=named, ts=time_range(nodes, named, cursor), columns=columns_read(nodes), lists_tables=_lists_tables(nodes)
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Refused:
    message: str
    node: Node


def _parse(cursor: duckdb.DuckDBPyConnection, query: str) -> Node | Refusal:
    document = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()[0][0]
    try:
        answer = json.loads(document)
    except RecursionError:
        return Refusal(message=_TOO_DEEP)
    if answer["error"]:
        return _syntax(answer)
    statements: Sequence[Node] = answer["statements"]
    if not statements:
        return Refusal(message="the query is empty; try SELECT * FROM hosts")
    if len(statements) > 1:
        return Refusal(message=f"there are {len(statements)} statements; send one at a time")
    return statements[0]


def _syntax(answer: Node) -> Refusal:
    if answer["error_type"] == "not implemented":
        return Refusal(message=_ONLY_SELECT)
    message = str(answer["error_message"]).split("\n", 1)[0]
    if "Max expression depth" in message or "memory exhausted" in message:
        return Refusal(message=_TOO_DEEP)
    return Refusal(message=message, position=int(answer["position"]) if "position" in answer else None)


def _walk(tree: Node) -> Iterator[Node]:
    """Every node, in the order of the text: an object with a `type` that is a name. A value's data type is an object with an `id`, so it is none."""
    waiting: list[Any] = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("type"), str):
                yield value
            waiting.extend(reversed(value.values()))
        elif isinstance(value, list):
            waiting.extend(reversed(value))


def _refusals(nodes: Sequence[Node], known: Collection[str]) -> Iterator[_Refused]:
    ctes = {entry["key"].lower() for node in nodes for entry in node.get("cte_map", {}).get("map", ())}
    for node in nodes:
        if not _is_allowed_kind(node):
            yield _Refused(_unknown_kind(node), node)
        elif node["type"] == "BASE_TABLE":
            yield from _table_refusals(node, known, ctes)
        elif node["type"] == "TABLE_FUNCTION":
            yield from _table_function_refusals(node)
        elif node["type"] == "SHOW_REF":
            yield from _show_refusals(node)
        elif "function_name" in node:
            yield from _function_refusals(node)


def _is_allowed_kind(node: Node) -> bool:
    if "class" in node:
        return node["class"] in _EXPRESSION_CLASSES
    kind = node["type"]
    kinds = _STATEMENT_KINDS | _RELATION_KINDS | _MODIFIER_KINDS | _ORDER_KINDS
    return kind in kinds or kind.endswith("_TYPE_INFO")


def _unknown_kind(node: Node) -> str:
    if node.get("class") == "PARAMETER":
        return "parameters such as ? and $1 have no value here; write the value into the query"
    if node["type"].endswith("_NODE"):
        return _ONLY_SELECT
    return f"{node.get('class', node['type']).replace('_', ' ').lower()} is not allowed in a query"


def _table_refusals(node: Node, known: Collection[str], ctes: Collection[str]) -> Iterator[_Refused]:
    name, schema, catalog = node["table_name"].lower(), node["schema_name"].lower(), node["catalog_name"].lower()
    if schema == "information_schema" and name in _INFORMATION_SCHEMA and catalog in {"", "memory"}:
        return
    if not schema and not catalog and name in ctes:
        return
    if name not in known or schema not in {"", "main"} or catalog not in {"", "memory"}:
        full = ".".join(part for part in (node["catalog_name"], node["schema_name"], node["table_name"]) if part)
        yield _Refused(f'there is no table "{full}"{nearest(name, known, what="tables")}', node)


def _table_function_refusals(node: Node) -> Iterator[_Refused]:
    function = node.get("function", {})
    name = str(function.get("function_name", "")).lower()
    if name not in _TABLE_FUNCTIONS:
        yield _Refused(f'the table function "{name}" is not allowed; these are: {", ".join(sorted(_TABLE_FUNCTIONS))}', function or node)


def _show_refusals(node: Node) -> Iterator[_Refused]:
    shown = str(node["table_name"]).strip('"')
    if node["query"] is None and node["show_type"] != "SHOW_FROM" and shown not in _SHOWN:
        yield _Refused(f"SHOW {shown.upper()} is not allowed; SHOW TABLES is", node)


def _function_refusals(node: Node) -> Iterator[_Refused]:
    name = str(node["function_name"]).lower()
    if name in _DENIED_FUNCTIONS or name.startswith(_DENIED_PREFIX):
        yield _Refused(f'the function "{name}" is not allowed in a query', node)


def _placed(refused: _Refused, query: str) -> Refusal:
    """The tree counts bytes, people count characters; a node that DuckDB made itself has no place."""
    encoded = query.encode()
    at = refused.node.get("query_location", -1)
    if not isinstance(at, int) or not 0 <= at <= len(encoded):
        return Refusal(message=refused.message)
    return Refusal(message=refused.message, position=len(encoded[:at].decode(errors="ignore")))


def _lists_tables(nodes: Sequence[Node]) -> bool:
    return any(node.get("schema_name") == "information_schema" or (node["type"] == "SHOW_REF" and node["query"] is None) for node in nodes)
