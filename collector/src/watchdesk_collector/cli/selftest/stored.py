"""The collector's side of the books: everything that history holds at one moment, asked for in one query over HTTP, as an operator would.

After it: `oracle`. One query, because only then all tables are seen as they are at the same moment.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchdesk_collector.cli.demo.api import CollectorApi
from watchdesk_collector.cli.selftest.ledgers import LINES, MODULUS
from watchdesk_collector.history.catalogue import NOT_SAMPLED

_CATALOG = "SELECT measurement, column_name, kind FROM catalog ORDER BY measurement, column_name"
_BATCHES = "SELECT 'batch' AS what, host, epoch AS a, seq AS b, seq_to AS c, rows AS d, outcome AS e FROM batch"


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A row of `batch`: what became of these seqs."""

    host: str
    epoch: int
    seq: int
    seq_to: int
    rows: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Tally:
    """The rows of one measurement of one host: how many, how many that can be told apart, and the sum of their times as in `Rows`."""

    rows: int
    different: int
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """All of history at one moment; tallies by host and measurement."""

    batches: Sequence[StoredBatch]
    tallies: Mapping[tuple[str, str], Tally]


class StoredReader:
    """Asks one collector; its catalogue only when agents have sampled what was not in it the last time."""

    def __init__(self, api: CollectorApi) -> None:
        self._api = api
        self._apart: Mapping[str, Sequence[str]] = {}

    def read(self, *, sampled: Collection[str]) -> Stored:
        """All that is stored, now; `sampled` are the measurements that agents have sent. **Errors**: OSError, when the collector is not there."""
        if not self._apart or not self._apart.keys() >= set(sampled):
            self._apart = _apart(self._api.sql(_CATALOG))
        return _stored(self._api.sql("\nUNION ALL\n".join([_BATCHES, *(_tally(name, apart) for name, apart in self._apart.items())])))


def _stored(rows: Sequence[Sequence[Any]]) -> Stored:
    return Stored(
        batches=[StoredBatch(*row[1:]) for row in rows if row[0] == "batch"],
        tallies={(host, what): Tally(rows, different, times) for what, host, rows, different, times, *_ in rows if what != "batch"},
    )


def missing_lines(api: CollectorApi, *, host: str, written: int) -> Iterator[int]:
    """The numbers of log lines of a host that are not stored."""
    found = {number for (number,) in api.sql(f"SELECT DISTINCT {_NUMBER} FROM log WHERE host = '{host}'")}  # noqa: S608  our own names
    yield from (number for number in range(1, written + 1) if number not in found)


_NUMBER = r"CAST(regexp_extract(message, 'line (\d+)', 1) AS BIGINT)"


def _apart(catalog: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """What tells a row apart, by measurement: its labels and its time; of log entries, the message alone."""
    columns: dict[str, list[str]] = {}
    for measurement, column, kind in catalog:
        if measurement in NOT_SAMPLED:
            continue
        apart = columns.setdefault(measurement, ["message"] if measurement == LINES else ["ts"])
        if kind == "label" and measurement != LINES:
            apart.append(column)
    return columns


def _tally(name: str, apart: Sequence[str]) -> str:
    different = f"count(DISTINCT ({', '.join(apart)}))" if len(apart) > 1 else f"count(DISTINCT {apart[0]})"
    return f"SELECT '{name}', host, count(*), {different}, sum(epoch_us(ts) % {MODULUS})::BIGINT, NULL, NULL FROM {name} GROUP BY host"  # noqa: S608  names from the catalogue
