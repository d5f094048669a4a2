"""The grammar of conditions in rules: text to tree.

    when = "used_ratio > 90% and total_bytes > 1GiB"
    where = "filesystem not in ('tmpfs', 'overlay')"

Numbers may carry a unit (`90%`, `5m`, `500MiB`) and become base units. Names of columns are not known here: `meaning` checks the tree against a
measurement and turns it into SQL.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from watchdesk_proto.settings import parse_duration, parse_size


@dataclass(frozen=True, slots=True)
class Number:
    """A number in base units."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A text in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Name:
    """A column."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function and what it is applied to."""

    function: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """Two sides and the operator between them, in SQL's spelling."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Unary:
    """`not` or a minus before one operand."""

    operator: str
    operand: "Node"


@dataclass(frozen=True, slots=True)
class In:
    """Whether a value is one of a list."""

    operand: "Node"
    options: tuple["Node", ...]
    is_negated: bool


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether a value is absent."""

    operand: "Node"
    is_negated: bool


Node: TypeAlias = Number | Text | Name | Call | Binary | Unary | In | IsNull


class ExpressionError(Exception):
    """A text that is not an expression; the message says what was expected where."""


def parse_expression(written: str) -> Node:
    """The tree of an expression. **Errors**: ExpressionError."""
    return _Parser(_tokens(written)).whole()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d[\w.%]*)
    | (?P<text>'(?:[^']|'')*' | "[^"]*")
    | (?P<word>[A-Za-z_]\w*)
    | (?P<regex>!?~~?\*?)
    | (?P<sign><=|>=|<>|!=|==|[-<>=+*/(),])
    )""",
    re.VERBOSE,
)
_KEYWORDS = frozenset({"and", "or", "not", "in", "is", "null"})
_COMPARISONS = {"<": "<", ">": ">", "<=": "<=", ">=": ">=", "=": "=", "==": "=", "!=": "<>", "<>": "<>"}


def _tokens(written: str) -> Sequence[_Token]:
    tokens, at = [], 0
    written = written.strip()
    while at < len(written):
        match = _TOKEN.match(written, at)
        if match is None or match.lastgroup is None:
            raise ExpressionError(f"cannot be read from {written[at:].strip()[:20]!r} on; see docs/rules.md for what a condition may hold")
        if match.lastgroup == "regex":
            raise ExpressionError(
                f"must not use {match['regex']!r}, which is read differently by different databases; write regexp_matches(column, 'pattern')"
            )
        tokens.append(_token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return tokens


def _token(kind: str, text: str) -> _Token:
    if kind == "word" and text.lower() in _KEYWORDS:
        return _Token("keyword", text.lower())
    return _Token(kind, text)


def _number(written: str) -> float:
    try:
        return float(written.removesuffix("%")) / (100 if written.endswith("%") else 1)
    except ValueError:
        pass
    for parse in (parse_duration, parse_size):
        try:
            return float(parse(written))
        except ValueError:
            continue
    raise ExpressionError(f"has {written!r}, which is not a number; write it like 0.9, 90%, 5m or 500MiB")


class _Parser:
    """Recursive descent; each method reads one level of precedence, loosest first."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Node:
        node = self._either()
        if self._at < len(self._tokens):
            raise ExpressionError(f"has {self._tokens[self._at].text!r} where it should end or go on with and, or, a comparison or an operator")
        return node

    def _either(self) -> Node:
        node = self._both()
        while self._take("keyword", "or"):
            node = Binary("OR", node, self._both())
        return node

    def _both(self) -> Node:
        node = self._negation()
        while self._take("keyword", "and"):
            node = Binary("AND", node, self._negation())
        return node

    def _negation(self) -> Node:
        if self._take("keyword", "not"):
            return Unary("NOT", self._negation())
        return self._comparison()

    def _comparison(self) -> Node:
        node = self._sum()
        if sign := self._take("sign", *_COMPARISONS):
            return Binary(_COMPARISONS[sign], node, self._sum())
        if self._take("keyword", "is"):
            is_negated = self._take("keyword", "not") is not None
            self._expect("keyword", "null")
            return IsNull(node, is_negated)
        is_negated = self._take("keyword", "not") is not None
        if self._take("keyword", "in"):
            self._expect("sign", "(")
            return In(node, self._list(), is_negated)
        if is_negated:
            raise ExpressionError("has 'not' after a value; only 'not in (…)' may follow one")
        return node

    def _sum(self) -> Node:
        node = self._product()
        while sign := self._take("sign", "+", "-"):
            node = Binary(sign, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._atom()
        while sign := self._take("sign", "*", "/"):
            node = Binary(sign, node, self._atom())
        return node

    def _atom(self) -> Node:
        if self._take("sign", "-"):
            return Unary("-", self._atom())
        if self._take("sign", "("):
            node = self._either()
            self._expect("sign", ")")
            return node
        if number := self._take("number"):
            return Number(_number(number))
        if text := self._take("text"):
            return Text(text[1:-1].replace("''", "'") if text.startswith("'") else text[1:-1])
        word = self._take("word")
        if word is None:
            raise ExpressionError(f"{self._here()} where a column, a number, a text in quotes or a function should stand")
        return Call(word.lower(), self._list()) if self._take("sign", "(") else Name(word)

    def _list(self) -> tuple[Node, ...]:
        """What stands between parentheses, the opening one being read already."""
        if self._take("sign", ")"):
            return ()
        items = [self._either()]
        while self._take("sign", ","):
            items.append(self._either())
        self._expect("sign", ")")
        return tuple(items)

    def _take(self, kind: str, *texts: str) -> str | None:
        if self._at == len(self._tokens):
            return None
        token = self._tokens[self._at]
        if token.kind != kind or (texts and token.text not in texts):
            return None
        self._at += 1
        return token.text

    def _expect(self, kind: str, text: str) -> None:
        if self._take(kind, text) is None:
            raise ExpressionError(f"{self._here()} where {text!r} should stand")

    def _here(self) -> str:
        return f"has {self._tokens[self._at].text!r}" if self._at < len(self._tokens) else "ends"
