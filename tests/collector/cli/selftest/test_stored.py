"""The oracle's question, put to a collector over HTTP: what it answers is what was committed, sample by sample."""

import asyncio

import numpy as np
import pytest
from collector.cli.conftest import Served
from collector.sql.shelf import CPU, HOSTS, NOW
from watchdesk_collector.cli.demo.api import CollectorApi
from watchdesk_collector.cli.selftest.ledgers import MODULUS
from watchdesk_collector.cli.selftest.stored import Stored, StoredBatch, StoredReader, Tally, missing_lines
from watchdesk_collector.clock import to_us
from watchdesk_collector.history import History
from watchdesk_collector.model import Arrival, Hole, Lane, Outcome, Table
from watchdesk_proto.catalogue import builtin

EPOCH = 2**62 + 1
AT = to_us(NOW)
LOG = next(measurement for measurement in builtin() if measurement.name == "log")
FIRST, NAME = next(iter(HOSTS.items()))


@pytest.fixture
def api(served: Served) -> CollectorApi:
    return CollectorApi(url=served.url, token_file=served.token_file)


@pytest.fixture
def history(served: Served) -> History:
    assert isinstance(served.deps.history, History)
    return served.deps.history


async def read(api: CollectorApi) -> Stored:
    return await asyncio.to_thread(lambda: StoredReader(api).read(sampled=["cpu"]))


def arrival(seq: int, *tables: Table) -> Arrival:
    return Arrival(host_id=FIRST, epoch=EPOCH, seq=seq, lane=Lane.LIVE, received_at_us=AT, content_hash=seq, bytes=1, tables=tables)


def log(*numbers: int) -> Table:
    """A line each, at one time, from one place."""
    texts = ["application", "/a.log", "error", "writer", *(f"line {number}" for number in numbers)]
    row = {"source": 0, "path": 1, "severity": 2, "unit": 3, "lines": 1}
    columns = [[4 + index if column.name == "message" else row[column.name] for index in range(len(numbers))] for column in LOG.columns]
    return Table(schema_id=LOG.schema_id, words=np.array([[AT] * len(numbers), *columns], np.int64), texts=texts)


async def test_batches_come_with_what_became_of_them(history: History, api: CollectorApi) -> None:
    hole = Hole(host_id=FIRST, epoch=EPOCH, first=2, last=4, outcome=Outcome.DROPPED, reason="spool_age", received_at_us=AT)
    history.declare(LOG)
    history.commit([arrival(1, log(1, 2))], [hole])
    stored = await read(api)
    assert StoredBatch(NAME, EPOCH, 1, 1, 2, "stored") in stored.batches
    assert [batch for batch in stored.batches if batch.outcome == "dropped"] == [StoredBatch(NAME, EPOCH, 2, 4, 0, "dropped")]


async def test_samples_are_counted_told_apart_and_summed_up_sealed_or_not(api: CollectorApi) -> None:
    stored = await read(api)
    rows = await asyncio.to_thread(api.sql, f"SELECT epoch_us(ts) FROM cpu WHERE host = '{NAME}' LIMIT 1000000")
    times = [at for (at,) in rows]
    assert stored.tallies[NAME, "cpu"] == Tally(len(times), len(times), sum(at % MODULUS for at in times))


async def test_a_sample_that_is_there_twice_is_not_told_apart(history: History, api: CollectorApi) -> None:
    before = (await read(api)).tallies[NAME, "cpu"]
    again = Table(schema_id=CPU.schema_id, words=np.array([[AT + 1] * 2, *[[0, 0]] * len(CPU.columns)], np.int64), texts=("",))
    history.commit([arrival(1, again)], [])
    after = (await read(api)).tallies[NAME, "cpu"]
    assert (after.rows - before.rows, after.different - before.different) == (2, 1)


async def test_a_measurement_that_agents_declare_later_is_counted_from_then_on(history: History, api: CollectorApi) -> None:
    reader = StoredReader(api)
    before = await asyncio.to_thread(lambda: reader.read(sampled=["cpu"]))
    history.declare(LOG)
    history.commit([arrival(1, log(1))], [])
    after = await asyncio.to_thread(lambda: reader.read(sampled=["cpu", "log"]))
    assert {*after.tallies} - {*before.tallies} == {(NAME, "log")}


async def test_lines_are_told_apart_by_what_they_say_and_missed_by_their_number(history: History, api: CollectorApi) -> None:
    history.declare(LOG)
    history.commit([arrival(1, log(1, 2, 5)), arrival(2, log(2))], [])
    stored = await read(api)
    tally = stored.tallies[NAME, "log"]
    assert (tally.rows, tally.different) == (4, 3)
    assert await asyncio.to_thread(lambda: list(missing_lines(api, host=NAME, written=6))) == [3, 4, 6]
