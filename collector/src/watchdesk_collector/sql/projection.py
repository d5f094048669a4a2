"""Which columns a query can read, so that wide tables are not copied whole for the sake of one field.

Invariant: a column that the query could see a value of is named here. Whatever may mean "all columns" means all.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

Node: TypeAlias = Mapping[str, Any]

_WHOLE_ROWS = {"STAR", "SHOW_REF", "PIVOT"}


def columns_read(nodes: Sequence[Node]) -> frozenset[str] | None:
    """Every name, lower case, that stands for a column anywhere in the tree; None when rows are read whole. `nodes` are all of the tree."""
    tables = {str(name).lower() for node in nodes if node["type"] == "BASE_TABLE" for name in (node["table_name"], node["alias"])}
    if any(_reads_whole_rows(node, tables) for node in nodes):
        return None
    named = (name for node in nodes for name in (*node.get("column_names", ()), *node.get("using_columns", ())))
    return frozenset(name.lower() for name in named)


def _reads_whole_rows(node: Node, tables: Collection[str]) -> bool:
    if node["type"] == "COLUMN_REF":  # a table's name, in the place of a column's, is its row as one value
        return str(node["column_names"][-1]).lower() in tables
    return (
        node["type"] in _WHOLE_ROWS
        or node.get("ref_type") == "NATURAL"  # joins on all the names in common
        or bool(node.get("column_name_alias"))  # names columns by their position
    )
