"""What an expression means over a measurement: whether it makes sense, and its SQL.

Invariant: every name that reaches SQL is a column of the measurement, every function stands in a list here, and texts are quoted.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from watchdesk_proto.catalogue import Column, Kind, Measurement, Type

from watchdesk_collector.alerting.expression import Binary, Call, In, IsNull, Name, Node, Number, Text, Unary

AGGREGATES = ("avg", "min", "max", "sum", "count", "last", "increase")
FUNCTIONS = ("abs", "lower", "regexp_matches", "starts_with")


class Sort(StrEnum):
    """What an expression yields."""

    NUMBER = "a number"
    TEXT = "a text"
    TRUTH = "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where an expression stands. Over windows, columns stand inside aggregates, but for those that `by` names."""

    measurement: Measurement
    by: Sequence[str]
    over_windows: bool


def complaints(node: Node, wanted: Sort, scope: Scope) -> Sequence[str]:
    """Everything that is wrong with an expression, each with its remedy; empty when nothing is."""
    checker = _Checker(scope)
    sort = checker.sort(node, inside_aggregate=False)
    if sort is not None and sort is not wanted and not checker.complaints:
        return [f"is {sort} as a whole; it must be {wanted}"]
    return checker.complaints


def unknown_name(name: str, known: Iterable[str], *, kind: str) -> str:
    """The complaint about a name that does not exist, with the nearest ones that do."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
    return f"names {kind} {name!r}, which does not exist; {remedy}"


def sql(node: Node) -> str:
    """An expression that has no complaints as DuckDB reads it. An `increase` becomes a sum over the column that `increase_column` names."""
    match node:
        case Number(value):
            return repr(value)
        case Text(value):
            return "'" + value.replace("'", "''") + "'"
        case Name(name):
            return f'"{name}"'
        case Call(function, arguments):
            return _call_sql(function, arguments)
        case Unary(operator, operand):
            return f"({operator} {sql(operand)})"
        case Binary(operator, left, right):
            return f"({sql(left)} {operator} {sql(right)})"
        case In(operand, options, is_negated):
            return f"({sql(operand)} {'NOT ' * is_negated}IN ({', '.join(map(sql, options))}))"
        case IsNull(operand, is_negated):
            return f"({sql(operand)} IS {'NOT ' * is_negated}NULL)"


def increased(node: Node) -> Iterator[str]:
    """The columns whose increase an expression asks for."""
    if isinstance(node, Call) and node.function == "increase" and isinstance(node.arguments[0], Name):
        yield node.arguments[0].name
    for child in _children(node):
        yield from increased(child)


def increase_column(name: str) -> str:
    """What the column is called that holds, row by row, by how much `name` grew; no catalogue name starts so."""
    return f"_increase_{name}"


def subject(condition: Node) -> Node | None:
    """What a condition speaks about: the left side of its first comparison."""
    if isinstance(condition, Binary) and condition.operator in ("AND", "OR"):
        return subject(condition.left) or subject(condition.right)
    if isinstance(condition, Binary):
        return condition.left
    return None


def unit_of(node: Node, measurement: Measurement) -> str:
    """The unit of an expression where it follows from one column, or from several of one unit; empty otherwise."""
    match node:
        case Name(name):
            return next((column.unit for column in measurement.columns if column.name == name), "")
        case Call(function, (argument,)) if function != "count":
            return unit_of(argument, measurement)
        case Unary("-", operand):
            return unit_of(operand, measurement)
        case Binary("+" | "-", left, right):
            unit = unit_of(left, measurement)
            return unit if unit == unit_of(right, measurement) else ""
        case _:
            return ""


def _call_sql(function: str, arguments: Sequence[Node]) -> str:
    if function == "count":
        return "count(*)"
    if function == "last":
        return f"arg_max({sql(arguments[0])}, _at_us)"
    if function == "increase" and isinstance(arguments[0], Name):
        return f'sum("{increase_column(arguments[0].name)}")'
    return f"{function}({', '.join(map(sql, arguments))})"


def _children(node: Node) -> Sequence[Node]:
    match node:
        case Call(_, arguments):
            return arguments
        case Unary(_, operand) | IsNull(operand, _):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case In(operand, options, _):
            return (operand, *options)
        case _:
            return ()


class _Checker:
    """Finds the sort of each part and collects complaints; None is the sort of a part that already has one."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._columns = {column.name: column for column in scope.measurement.columns}
        self.complaints: list[str] = []

    def sort(self, node: Node, *, inside_aggregate: bool) -> Sort | None:
        match node:
            case Number():
                return Sort.NUMBER
            case Text():
                return Sort.TEXT
            case Name(name):
                return self._column(name, inside_aggregate=inside_aggregate)
            case Call(function, arguments):
                return self._call(function, arguments, inside_aggregate=inside_aggregate)
            case Unary(operator, operand):
                wanted = Sort.TRUTH if operator == "NOT" else Sort.NUMBER
                self._expect(operand, wanted, where=operator.lower(), inside_aggregate=inside_aggregate)
                return wanted
            case Binary(operator, left, right):
                return self._binary(operator, left, right, inside_aggregate=inside_aggregate)
            case In(operand, options, _):
                sort = self.sort(operand, inside_aggregate=inside_aggregate)
                for option in options:
                    self._expect(option, sort, where="in", inside_aggregate=inside_aggregate)
                return Sort.TRUTH
            case IsNull(operand, _):
                self.sort(operand, inside_aggregate=inside_aggregate)
                return Sort.TRUTH

    def _column(self, name: str, *, inside_aggregate: bool) -> Sort | None:
        column = self._columns.get(name)
        if column is None:
            return self._wrong(unknown_name(name, self._columns, kind=f"{self._scope.measurement.name} column"))
        if self._scope.over_windows and not inside_aggregate and name not in self._scope.by:
            return self._wrong(f"has {name!r} outside an aggregate; with `over`, write avg({name}), max({name}), last({name}) …")
        return _sort_of(column)

    def _call(self, function: str, arguments: Sequence[Node], *, inside_aggregate: bool) -> Sort | None:
        if function in AGGREGATES:
            return self._aggregate(function, arguments, inside_aggregate=inside_aggregate)
        if function not in FUNCTIONS:
            return self._wrong(unknown_name(function, (*AGGREGATES, *FUNCTIONS), kind="function"))
        takes = {"abs": (Sort.NUMBER,), "lower": (Sort.TEXT,)}.get(function, (Sort.TEXT, Sort.TEXT))
        if len(arguments) != len(takes):
            return self._wrong(f"gives {function}() {len(arguments)} values; it takes {len(takes)}")
        for argument, wanted in zip(arguments, takes, strict=True):
            self._expect(argument, wanted, where=function, inside_aggregate=inside_aggregate)
        return {"abs": Sort.NUMBER, "lower": Sort.TEXT}.get(function, Sort.TRUTH)

    def _aggregate(self, function: str, arguments: Sequence[Node], *, inside_aggregate: bool) -> Sort | None:
        if not self._scope.over_windows:
            return self._wrong(f'has the aggregate {function}() but the rule has no `over`; add for example over = "1m"')
        if inside_aggregate:
            return self._wrong(f"has {function}() inside another aggregate; one is enough")
        if function == "count":
            return Sort.NUMBER if not arguments else self._wrong("gives count() a value; it counts samples: write count()")
        if len(arguments) != 1:
            return self._wrong(f"gives {function}() {len(arguments)} values; it takes 1")
        if function == "increase" and not self._is_counter(arguments[0]):
            return self._wrong("has increase() over something that is no counter; its columns end in _total")
        self._expect(arguments[0], Sort.NUMBER, where=function, inside_aggregate=True)
        return Sort.NUMBER

    def _is_counter(self, node: Node) -> bool:
        return isinstance(node, Name) and (node.name not in self._columns or self._columns[node.name].kind is Kind.COUNTER)

    def _binary(self, operator: str, left: Node, right: Node, *, inside_aggregate: bool) -> Sort:
        if operator in ("AND", "OR"):
            for side in (left, right):
                self._expect(side, Sort.TRUTH, where=operator.lower(), inside_aggregate=inside_aggregate)
            return Sort.TRUTH
        if operator in ("+", "-", "*", "/"):
            for side in (left, right):
                self._expect(side, Sort.NUMBER, where=operator, inside_aggregate=inside_aggregate)
            return Sort.NUMBER
        self._expect(right, self.sort(left, inside_aggregate=inside_aggregate), where=operator, inside_aggregate=inside_aggregate)
        return Sort.TRUTH

    def _expect(self, node: Node, wanted: Sort | None, *, where: str, inside_aggregate: bool) -> None:
        sort = self.sort(node, inside_aggregate=inside_aggregate)
        if sort is not None and wanted is not None and sort is not wanted:
            self._wrong(f"has {sort} at {where!r} where {wanted} should stand")

    def _wrong(self, complaint: str) -> Sort | None:
        """Note a complaint; the part that it is about has no sort."""
        self.complaints.append(complaint)
        return None


def _sort_of(column: Column) -> Sort:
    return Sort.TEXT if column.type is Type.TEXT else Sort.NUMBER
