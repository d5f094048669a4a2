"""Each of these is refused, or dies by its deadline, and the runner goes on as if nothing had been."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from collector.sql.conftest import Desk, MakeDesk
from watchdesk_collector.sql.config import SqlConfig
from watchdesk_collector.sql.guard import Guard, Permitted
from watchdesk_collector.sql.model import Fault, Format, SqlError, SqlResult

DEADLINE_S = 1.0
GRACE_S = 1.5  # start-up of a process on a busy machine, and its end

REACHES_OUT = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/shadow')",
    "SELECT * FROM read_json('/proc/self/environ')",
    "SELECT * FROM read_parquet('/proc/self/fd/3')",
    "SELECT * FROM read_text('../../ops.db')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'https://example.org/data.csv'",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM postgres_scan('host=10.0.0.1', 'public', 'users')",
    "SELECT * FROM sqlite_scan('/state/ops.db', 'outbox')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(94000000000000)",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('cpu')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT json_serialize_plan('COPY cpu TO ''/tmp/x''')",
    "SELECT getenv('HOME')",
    "SELECT current_setting('secret_directory')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM secret_frame",
]
CHANGES_SOMETHING = [
    "COPY cpu TO '/tmp/cpu.csv'",
    "COPY (SELECT * FROM cpu) TO 'cpu.parquet'",
    "COPY cpu FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/all'",
    "ATTACH '/tmp/other.db'",
    "ATTACH ':memory:' AS other",
    "INSTALL httpfs",
    "LOAD '/tmp/evil.duckdb_extension'",
    "PRAGMA enable_profiling",
    "PRAGMA version",
    "SET enable_external_access = true",
    "SET threads = 64",
    "RESET lock_configuration",
    "CALL enable_logging()",
    "SELECT * FROM enable_logging(storage = 'file', storage_config = {'path': '/tmp/log'})",
    "SELECT * FROM enable_profiling()",
    "SELECT * FROM checkpoint()",
    "SELECT * FROM truncate_duckdb_logs()",
    "SELECT write_log('hello')",
    "SELECT nextval('s')",
    "INSERT INTO cpu VALUES (1)",
    "UPDATE cpu SET busy_ratio = 0",
    "DELETE FROM cpu",
    "DROP VIEW cpu",
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "CREATE TEMP VIEW cpu AS SELECT 1",
    "MERGE INTO cpu USING cpu AS c ON true WHEN MATCHED THEN DELETE",
    "WITH x AS (INSERT INTO cpu VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM cpu RETURNING *) SELECT * FROM x",
    "WITH x AS (COPY cpu TO '/tmp/x') SELECT 1",
    "EXPLAIN ANALYZE INSERT INTO cpu VALUES (1)",
    "EXPLAIN ANALYZE COPY cpu TO '/tmp/x'",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "BEGIN",
    "COMMIT; DROP VIEW cpu",
    "SELECT 1; COPY cpu TO '/tmp/x'",
    "VACUUM",
    "USE other",
    "SET VARIABLE x = 1",
]
TAKES_TOO_MUCH = [
    "SELECT count(*) FROM range(1000000) a, range(1000000) b",
    "SELECT count(*) FROM cpu a, cpu b, cpu c, cpu d WHERE a.busy_ratio + b.busy_ratio + c.busy_ratio > d.busy_ratio",
    "SELECT repeat('x', 2000000000)",
    "SELECT length(repeat('x', 2000000000))",
    "SELECT printf('%2000000000d', 1)",
    "SELECT lpad('x', 2000000000, 'y')",
    "SELECT list_sum(range(400000000))",
    "SELECT count(*) FROM (SELECT unnest(range(400000000)))",
    "SELECT levenshtein(repeat('a', 600000), repeat('b', 600000))",
    "SELECT string_agg(repeat('x', 1000), '') FROM range(100000000)",
    "SELECT list(range) FROM range(1000000000)",
    "SELECT * FROM range(1000000000) ORDER BY hash(range)",
    "SELECT count(DISTINCT hash(range)) FROM range(1000000000)",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT max(length(s)) FROM t",
    "SELECT count(*) FROM range(1000000) WHERE regexp_matches(repeat('a', 100000) || range, '(a|aa)+b$')",
    "SELECT sum(random()) FROM range(1000000000000)",
    "SELECT format('{:2000000000}', 1)",
    "SELECT max(a.range * b.range) FROM range(100000000) a JOIN range(100000000) b ON a.range < b.range",
    "SELECT bitstring('1', 2000000000)",
]
SENDS_TOO_MUCH = [
    "SELECT repeat('x', 10000) FROM range(1000)",
    "SELECT * FROM range(1000000000000)",
    "SELECT range(1000) FROM range(1000000)",
]


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk(SqlConfig(max_bytes=4 << 20, rows=100_000))


@pytest.mark.parametrize("query", REACHES_OUT + CHANGES_SOMETHING)
def test_what_reaches_out_or_changes_something_is_refused_unrun(query: str) -> None:
    assert not isinstance(Guard().check(query, {"cpu", "hosts", "catalog"}), Permitted)


async def test_what_takes_too_much_dies_alone(desk: Desk) -> None:
    before = _resident_bytes()
    for query in TAKES_TOO_MUCH:
        started = time.monotonic()
        outcome = await desk.runner.run(query, timeout_s=DEADLINE_S)
        took = time.monotonic() - started
        assert isinstance(outcome, SqlError), f"{query}: {outcome}"
        assert outcome.fault in {Fault.DEADLINE, Fault.MEMORY}, f"{query}: {outcome}"
        assert took < DEADLINE_S + GRACE_S, f"{query}: {took:.1f} s"
    await _still_answers(desk)
    assert _resident_bytes() - before < 64 << 20


@pytest.mark.parametrize("format", list(Format))
async def test_what_sends_too_much_is_cut_off(desk: Desk, format: Format) -> None:
    for query in SENDS_TOO_MUCH:
        outcome = await desk.runner.run(query, timeout_s=20, format=format)
        assert isinstance(outcome, SqlResult), f"{query}: {outcome}"
        assert outcome.truncated is not None
        assert len(outcome.body) < 5 << 20


async def test_a_light_query_is_answered_while_a_heavy_one_runs(desk: Desk) -> None:
    heavy = asyncio.create_task(desk.runner.run(TAKES_TOO_MUCH[0], timeout_s=DEADLINE_S))
    await _still_answers(desk)
    assert not heavy.done()
    await heavy


async def _still_answers(desk: Desk) -> None:
    outcome = await desk.runner.run("SELECT count(*) FROM cpu")
    assert isinstance(outcome, SqlResult), outcome


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
