"""What is hot: the measurements, the generations of their tables, and how many rows are in each.

Invariant: after each method the numbers here are those of the database; methods that write are called within the caller's transaction, and what they
change here is changed by a `note_` method once the transaction is committed.
"""

from collections.abc import Mapping, Sequence
from itertools import count

import duckdb
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.history import catalogue, generation
from watchdesk_collector.history.positions import LOG_POSITION


class Hot:
    """Loaded from an open database by `read`."""

    def __init__(self, measurements: dict[str, Measurement], rows: dict[int, dict[str, int]]) -> None:
        self.measurements = measurements
        self._rows = rows  # by generation, then measurement

    @classmethod
    def read(cls, cursor: duckdb.DuckDBPyConnection) -> "Hot":
        tables = generation.read_tables(cursor)
        rows = {number: {name: generation.read_rows(cursor, name, number) for name in names} for number, names in tables.items()}
        return cls(catalogue.read_declared(cursor), rows)

    @property
    def current(self) -> int:
        """The generation that is appended to."""
        return max(self._rows)

    @property
    def generations(self) -> Sequence[int]:
        return list(self._rows)

    def generations_with(self, name: str) -> Sequence[int]:
        """Those that have this table."""
        return [number for number, rows in list(self._rows.items()) if name in rows]

    def rows(self) -> int:
        """All rows that are hot."""
        return sum(sum(rows.values()) for rows in list(self._rows.values()))

    def rows_of(self, measurement: str) -> int:
        return sum(rows.get(measurement, 0) for rows in list(self._rows.values()))

    def current_rows(self) -> int:
        return sum(self._rows[self.current].values())

    def waiting(self) -> dict[int, Mapping[str, int]]:
        """Generations that nobody appends to any more, with the rows of their tables."""
        current = self.current
        return {number: _of_measurements(rows) for number, rows in list(self._rows.items()) if number < current}

    def extend(self, cursor: duckdb.DuckDBPyConnection, measurement: Measurement) -> None:
        """Give the current generation the measurement's table, or its new columns."""
        known = self.measurements.get(measurement.name)
        known_columns = len(known.columns) if known else 0
        if known is None:
            generation.create(cursor, [measurement], self.current)
        else:
            generation.add_columns(cursor, measurement.name, measurement.columns[known_columns:], self.current)
        catalogue.write_declared(cursor, measurement, known_columns=known_columns)

    def note_extended(self, measurement: Measurement) -> None:
        self._rows[self.current].setdefault(measurement.name, 0)
        self.measurements[measurement.name] = measurement

    def begin_first(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Give a generation to a new database, and the table beside those of measurements to one that has none yet."""
        if not self.generations_with(LOG_POSITION.name):
            generation.create(cursor, [LOG_POSITION], max(self._rows, default=1))

    def note_begun_first(self) -> None:
        self._rows.setdefault(max(self._rows, default=1), {}).setdefault(LOG_POSITION.name, 0)

    def begin(self, cursor: duckdb.DuckDBPyConnection, number: int) -> None:
        """Create a generation's tables."""
        generation.create(cursor, [*self.measurements.values(), LOG_POSITION], number)

    def note_begun(self, number: int) -> None:
        self._rows[number] = dict.fromkeys([*self.measurements, LOG_POSITION.name], 0)

    def note_inserted(self, measurement: str, rows: int) -> None:
        self._rows[self.current][measurement] += rows

    def drop(self, cursor: duckdb.DuckDBPyConnection, numbers: Sequence[int]) -> None:
        for number in numbers:
            generation.drop(cursor, self._rows[number], number)

    def note_dropped(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            del self._rows[number]


def _of_measurements(rows: Mapping[str, int]) -> Mapping[str, int]:
    return {name: count for name, count in rows.items() if name != LOG_POSITION.name}


def numbers_from(used: Sequence[int]) -> "count[int]":
    """Numbers for generations and merged files, from the first unused one on."""
    return count(max(used, default=0) + 1)
