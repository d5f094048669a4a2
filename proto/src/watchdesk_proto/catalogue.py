"""The catalogue: which measurements exist, with their columns, kinds, units and help.

A sampler declares its `Measurement` once. The agent encodes rows in its column order, the collector creates its table from it, and rules, SQL and
docs read it. The built-in catalogue (`catalogue.json`, written by `make proto` from the samplers) lets a collector know every column before the
first agent connects. Invariant: `schema_id` depends on names, kinds, types and units alone, so it is the same on every host and in every version.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED_COLUMNS = frozenset({"ts", "host", "host_id"})


class Kind(StrEnum):
    """What a column holds."""

    LABEL = "label"
    GAUGE = "gauge"
    COUNTER = "counter"
    TEXT = "text"


class Type(StrEnum):
    """How a column's values are stored: a double, a 64-bit integer, or text."""

    FLOAT64 = "float64"
    INT64 = "int64"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column; `unit` is a base unit ("bytes", "seconds", "ratio") or empty, and stands in the name as a suffix."""

    name: str
    kind: Kind
    type: Type
    unit: str = ""
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One table. Column order is the order on the wire; `ts` and the host are implied and come first."""

    name: str
    help: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ValueError(f"measurement {self.name!r}: {'; '.join(problems)}")

    def _problems(self) -> Iterable[str]:
        if not NAME.fullmatch(self.name):
            yield "the name must be lower case letters, digits and _, at most 63"
        names = [column.name for column in self.columns]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"column {name!r} is there twice"
        for column in self.columns:
            if not NAME.fullmatch(column.name) or column.name in RESERVED_COLUMNS:
                yield f"column name {column.name!r} is not allowed"
            if (column.type is Type.TEXT) != (column.kind in (Kind.LABEL, Kind.TEXT)):
                yield f"column {column.name!r} cannot be a {column.kind} of type {column.type}"

    @property
    def labels(self) -> tuple[Column, ...]:
        """The columns that tell series apart."""
        return tuple(column for column in self.columns if column.kind is Kind.LABEL)

    @property
    def fields(self) -> tuple[Column, ...]:
        """The numeric columns."""
        return tuple(column for column in self.columns if column.type is not Type.TEXT)

    @property
    def schema_id(self) -> int:
        """63 bits of a BLAKE2b hash over names, kinds, types and units, in order."""
        text = "\n".join([self.name, *(f"{c.name} {c.kind} {c.type} {c.unit}" for c in self.columns)])
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def label(name: str, help: str) -> Column:
    """A text column that tells series apart."""
    return Column(name=name, kind=Kind.LABEL, type=Type.TEXT, help=help)


def text(name: str, help: str) -> Column:
    """A text column that describes a row."""
    return Column(name=name, kind=Kind.TEXT, type=Type.TEXT, help=help)


def gauge(name: str, help: str, *, unit: str = "", type: Type = Type.FLOAT64) -> Column:
    """A number that goes up and down."""
    return Column(name=name, kind=Kind.GAUGE, type=type, unit=unit, help=help)


def counter(name: str, help: str, *, unit: str = "", type: Type = Type.INT64) -> Column:
    """A number that only grows until its source restarts; its name ends in `_total`."""
    return Column(name=name, kind=Kind.COUNTER, type=type, unit=unit, help=help)


def dump(measurements: Sequence[Measurement]) -> str:
    """The catalogue as stable, readable JSON."""
    return json.dumps([_to_json(m) for m in sorted(measurements, key=lambda m: m.name)], indent=1, ensure_ascii=False) + "\n"


def load(document: str) -> tuple[Measurement, ...]:
    """The inverse of `dump`; ValueError on anything else."""
    return tuple(_from_json(entry) for entry in json.loads(document))


def builtin() -> tuple[Measurement, ...]:
    """Every measurement that an agent of this version can send."""
    return load(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))


def _to_json(measurement: Measurement) -> dict[str, object]:
    columns = [{"name": c.name, "kind": c.kind, "type": c.type, "unit": c.unit, "help": c.help} for c in measurement.columns]
    return {"name": measurement.name, "help": measurement.help, "columns": columns}


def _from_json(entry: dict[str, object]) -> Measurement:
    raw_columns = entry["columns"]
    if not isinstance(raw_columns, list):
        raise ValueError("columns must be a list")
    columns = tuple(Column(name=c["name"], kind=Kind(c["kind"]), type=Type(c["type"]), unit=c["unit"], help=c["help"]) for c in raw_columns)
    return Measurement(name=str(entry["name"]), help=str(entry["help"]), columns=columns)
