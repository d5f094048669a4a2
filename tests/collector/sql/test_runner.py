import asyncio
import csv
import io
import json
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from collector.sql.conftest import Desk, MakeDesk
from collector.sql.shelf import NOW
from watchdesk_collector.sql.config import SqlConfig
from watchdesk_collector.sql.model import Fault, Format, SqlError, SqlResult, Truncation


async def answer(desk: Desk, query: str, **options: Any) -> Any:
    result = await desk.runner.run(query, **options)
    assert isinstance(result, SqlResult), result
    return json.loads(result.body)


async def error(desk: Desk, query: str, **options: Any) -> SqlError:
    result = await desk.runner.run(query, **options)
    assert isinstance(result, SqlError), result
    return result


async def test_a_query_sees_sealed_and_hot_rows_with_the_host_by_name(desk: Desk) -> None:
    found = await answer(desk, "SELECT host, count(*) AS rows, max(ts) AS newest FROM cpu GROUP BY host ORDER BY host")
    newest = (NOW - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found["rows"] == [["db1", 7260, newest], ["web1", 7260, newest]]
    assert found["columns"][2] == {"name": "newest", "type": "TIMESTAMP WITH TIME ZONE"}
    assert found["truncated"] is None


async def test_tables_without_rows_or_without_files_can_be_asked(desk: Desk) -> None:
    assert (await answer(desk, "SELECT count(*) FROM disk"))["rows"] == [[0]]
    assert (await answer(desk, "SELECT probe, success, error FROM probe ORDER BY probe"))["rows"] == [
        ["mail", None, "connection refused"],
        ["site", 1, None],
    ]


async def test_hosts_and_catalog_are_always_there(desk: Desk) -> None:
    assert (await answer(desk, "SELECT host FROM hosts ORDER BY host"))["rows"] == [["db1"], ["web1"]]
    assert (await answer(desk, "SELECT column_name FROM catalog WHERE measurement = 'probe' AND kind = 'gauge'"))["rows"] == [["success"]]


async def test_show_tables_and_describe_work_as_at_a_prompt(desk: Desk) -> None:
    assert [row[0] for row in (await answer(desk, "SHOW TABLES"))["rows"]] == [
        "batch",
        "catalog",
        "completeness",
        "cpu",
        "disk",
        "gap",
        "hosts",
        "probe",
    ]
    assert [row[0] for row in (await answer(desk, "DESCRIBE cpu"))["rows"]] == ["ts", "host", "host_id", "busy_ratio", "idle_ratio"]
    assert (await answer(desk, "SUMMARIZE cpu"))["row_count"] == 5


async def test_only_what_the_query_names_is_asked_of_history(desk: Desk) -> None:
    await answer(desk, "WITH c AS (SELECT * FROM cpu) SELECT count(*) FROM c, probe")
    assert desk.shelf.asked == [(("cpu", "probe"), None, None)]


async def test_a_condition_on_ts_narrows_what_is_handed_over(desk: Desk) -> None:
    await answer(desk, "SELECT count(*) FROM cpu WHERE ts > now() - INTERVAL 1 HOUR")
    (_, since, until) = desk.shelf.asked[0]
    assert since is not None
    assert until is None
    assert timedelta(minutes=50) < NOW - since < timedelta(minutes=62)


async def test_json_keeps_every_kind_of_value_readable(desk: Desk) -> None:
    query = """
        SELECT 'é', NULL, true, 1::UTINYINT, sum(1), 1.50, 'nan'::DOUBLE, '-inf'::DOUBLE, INTERVAL 14 MONTH, [1, NULL], {'a': [1.5, 'nan'::DOUBLE]},
            DATE '2026-01-02', TIMESTAMPTZ '2026-01-02 03:04:05.5+02', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID, '\\xAA'::BLOB, '[1, 2]'::JSON
    """
    assert (await answer(desk, query))["rows"] == [
        [
            "é", None, True, 1, 1, 1.5, "nan", "-inf", "1 year 2 months", [1, None], {"a": [1.5, "NaN"]},
            "2026-01-02", "2026-01-02T01:04:05.5Z", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "\\xAA", [1, 2],
        ]
    ]  # fmt: skip


async def test_csv_quotes_what_needs_it(desk: Desk) -> None:
    result = await desk.runner.run("SELECT 'a,\"b\"' AS one, NULL AS two, 1.50 AS three", format=Format.CSV)
    assert isinstance(result, SqlResult)
    assert list(csv.reader(io.StringIO(result.body.decode()))) == [["one", "two", "three"], ['a,"b"', "", "1.50"]]


async def test_arrow_carries_types_and_stops_at_the_row_limit(desk: Desk) -> None:
    result = await desk.runner.run("SELECT ts, host, busy_ratio FROM cpu ORDER BY ts", format=Format.ARROW, max_rows=1500)
    assert isinstance(result, SqlResult)
    table = pa.ipc.open_stream(result.body).read_all()
    assert (table.num_rows, result.rows, result.truncated) == (1500, 1500, Truncation.ROWS)
    assert table.schema.field("ts").type == pa.timestamp("us", tz="UTC")


async def test_arrow_of_exactly_the_limit_is_not_truncated(desk: Desk) -> None:
    result = await desk.runner.run("SELECT * FROM range(1000)", format=Format.ARROW, max_rows=1000)
    assert isinstance(result, SqlResult)
    assert (result.rows, result.truncated) == (1000, None)


@pytest.mark.parametrize(("rows", "truncated"), [(10, None), (11, Truncation.ROWS)])
async def test_the_answer_says_when_there_were_more_rows(desk: Desk, rows: int, truncated: Truncation | None) -> None:
    result = await desk.runner.run(f"SELECT * FROM range({rows})", max_rows=10)
    assert isinstance(result, SqlResult)
    assert (result.rows, result.truncated) == (10, truncated)


@pytest.mark.parametrize("format", list(Format))
async def test_an_answer_ends_at_the_byte_limit_and_says_so(make_desk: MakeDesk, format: Format) -> None:
    desk = make_desk(SqlConfig(max_bytes=100_000))
    result = await desk.runner.run("SELECT repeat('x', 1000) FROM range(9000)", format=format)
    assert isinstance(result, SqlResult)
    assert result.truncated is Truncation.BYTES
    assert len(result.body) <= 110_000


async def test_rows_come_in_the_order_that_was_asked_for(desk: Desk) -> None:
    found = await answer(desk, "SELECT range FROM range(100000) ORDER BY range DESC", max_rows=5000)
    assert [row[0] for row in found["rows"]] == list(range(99999, 94999, -1))


async def test_an_unknown_column_points_into_the_query_and_names_the_nearest(desk: Desk) -> None:
    wrong = await error(desk, "SELECT host,\n  'é', max(bussy_ratio)\nFROM cpu")
    assert wrong.message == 'there is no column "bussy_ratio"; did you mean busy_ratio?'
    assert (wrong.line, wrong.column) == (2, 12)
    assert wrong.excerpt == "  'é', max(bussy_ratio)\n           ^"


async def test_an_unknown_column_that_resembles_none_lists_those_of_its_table(desk: Desk) -> None:
    wrong = await error(desk, "SELECT zzz FROM cpu")
    assert wrong.message == 'there is no column "zzz"; the columns are busy_ratio, host, host_id, idle_ratio, ts'


async def test_a_text_in_double_quotes_is_told_apart_from_a_column(desk: Desk) -> None:
    wrong = await error(desk, 'SELECT * FROM cpu WHERE host = "web1"')
    assert wrong.message == "there is no column \"web1\"; if it is a text, write it in single quotes: 'web1'"


async def test_an_unknown_table_points_into_the_query_and_names_the_nearest(desk: Desk) -> None:
    wrong = await error(desk, "SELECT * FROM cpus")
    assert (wrong.message, wrong.column) == ('there is no table "cpus"; did you mean cpu?', 15)


async def test_a_syntax_error_points_into_the_query(desk: Desk) -> None:
    wrong = await error(desk, "SELECT host\nFORM cpu")
    assert (wrong.message, wrong.line, wrong.column) == ('syntax error at or near "cpu"', 2, 6)


async def test_an_error_in_the_middle_of_the_rows_is_an_error(desk: Desk) -> None:
    for format in Format:
        wrong = await error(
            desk, "SELECT CAST(CASE WHEN range = 90000 THEN 'x' ELSE '1' END AS INT) FROM range(99999)", format=format, max_rows=100_000
        )
        assert wrong.message == "Could not convert string 'x' to INT32"
        assert wrong.fault is Fault.QUERY


@pytest.mark.parametrize(
    "query",
    [
        "SELECT foo(1)",
        "SELECT 'a' + now()",
        "SELECT max(ts, 1, 2) FROM cpu",
        "SELECT host FROM cpu GROUP BY ts",
        "SELECT date_trunc('x', now())",
        "SELECT ((",
    ],
)
async def test_errors_are_one_line_without_duckdbs_noise(desk: Desk, query: str) -> None:
    message = (await error(desk, query)).message
    assert "\n" not in message
    assert not re.search(r"LINE \d|Error:|Candidate|http|SET |{", message), message


async def test_long_lines_are_shown_around_the_place(desk: Desk) -> None:
    wrong = await error(desk, f"SELECT {'1 + ' * 100} nope {'+ 1' * 100} FROM cpu")
    assert wrong.excerpt is not None
    text, caret = wrong.excerpt.split("\n")
    assert text[caret.index("^") :].startswith("nope")
    assert len(text) < 110


async def test_files_that_the_process_may_not_read_are_told_of(desk: Desk) -> None:
    for file in desk.shelf.folder.rglob("*.parquet"):
        file.chmod(0)
    wrong = await error(desk, "SELECT count(*) FROM cpu")
    assert wrong.fault is Fault.HISTORY
    assert wrong.message.startswith("history's files cannot be read: ")


async def test_a_history_without_any_file_can_be_asked(desk: Desk) -> None:
    shutil.rmtree(desk.shelf.folder)
    assert (await answer(desk, "SELECT count(*) FROM probe"))["rows"] == [[2]]


async def test_a_slow_query_is_stopped_at_its_deadline_and_told_so(desk: Desk) -> None:
    wrong = await error(desk, "SELECT count(*) FROM range(1000000) a, range(1000000) b", timeout_s=0.5)
    assert wrong.fault is Fault.DEADLINE
    assert wrong.message.startswith("the query was stopped after 0.5 s")


async def test_a_query_waits_for_its_turn_only_so_long(make_desk: MakeDesk) -> None:
    desk = make_desk(SqlConfig(concurrency=1, max_wait=0.2))
    slow = asyncio.create_task(desk.runner.run("SELECT count(*) FROM range(1000000) a, range(1000000) b", timeout_s=2))
    async with asyncio.timeout(10):
        while not _children():  # noqa: ASYNC110  # the kernel sets no event when a process starts
            await asyncio.sleep(0.01)
    wrong = await error(desk, "SELECT 1 FROM range(3)")
    assert wrong.fault is Fault.BUSY
    await slow


async def test_a_stopped_query_leaves_no_process_and_no_descriptor(desk: Desk) -> None:
    await answer(desk, "SELECT 1")
    before = _descriptors()
    await error(desk, "SELECT count(*) FROM cpu, range(10000000000)", timeout_s=0.7)
    assert _children() == []
    assert _descriptors() == before


async def test_a_cancelled_query_leaves_no_process_and_no_descriptor(desk: Desk) -> None:
    await answer(desk, "SELECT 1")
    before = _descriptors()
    desk.shelf.was_asked.clear()
    task = asyncio.create_task(desk.runner.run("SELECT count(*) FROM cpu, range(10000000000)"))
    assert await asyncio.to_thread(desk.shelf.was_asked.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _children() == []
    for _ in range(500):  # the thread that was preparing the query ends in its own time
        if _descriptors() == before:
            return
        await asyncio.sleep(0.01)
    assert _descriptors() == before


@pytest.mark.parametrize("options", [{"timeout_s": 0}, {"timeout_s": 1e9}, {"max_rows": 0}, {"max_rows": 10**9}])
async def test_limits_out_of_bounds_are_told(desk: Desk, options: dict[str, Any]) -> None:
    wrong = await error(desk, "SELECT 1", **options)
    assert wrong.fault is Fault.REQUEST
    assert next(iter(options)) in wrong.message


async def test_a_query_of_a_megabyte_is_refused_unread(desk: Desk) -> None:
    wrong = await error(desk, "SELECT " + "1," * 500_000 + "1")
    assert wrong.fault is Fault.SIZE


def _children() -> list[str]:
    return [pid for children in Path("/proc/self/task").glob("*/children") for pid in children.read_text().split()]


def _descriptors() -> list[str]:
    """What is open, by what it is."""
    return sorted(str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
