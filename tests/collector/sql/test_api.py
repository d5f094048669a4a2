"""The SQL endpoint and the admin endpoints as programs see them, over real HTTP."""

import asyncio
from typing import Any

import aiohttp
import pyarrow as pa
import pytest
from collector.cli.conftest import TOKEN, Served
from collector.cli.conftest import served as served  # noqa: PLC0414  a fixture

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


async def post(served: Served, path: str, body: Any, headers: dict[str, str] = AUTHORIZED) -> tuple[int, dict[str, str], Any]:
    async with aiohttp.ClientSession() as session, session.post(served.url + path, json=body, headers=headers) as response:
        is_json = response.content_type == "application/json"
        return response.status, dict(response.headers), await response.json() if is_json else await response.read()


async def test_rows_come_as_json_csv_and_arrow(served: Served) -> None:
    query = "SELECT host, count(*) AS rows FROM cpu GROUP BY host ORDER BY host"
    status, headers, found = await post(served, "/api/v1/sql", {"query": query})
    assert (status, found["rows"], headers["X-Watchdesk-Rows"]) == (200, [["db1", 7260], ["web1", 7260]], "2")
    status, headers, found = await post(served, "/api/v1/sql", {"query": query, "format": "csv"})
    assert (found, headers["Content-Type"]) == (b"host,rows\ndb1,7260\nweb1,7260\n", "text/csv; charset=utf-8")
    status, headers, found = await post(served, "/api/v1/sql", {"query": query, "format": "arrow"})
    assert pa.ipc.open_stream(found).read_all().to_pydict() == {"host": ["db1", "web1"], "rows": [7260, 7260]}


async def test_a_truncated_answer_says_so_in_a_header(served: Served) -> None:
    _, headers, found = await post(served, "/api/v1/sql", {"query": "SELECT * FROM cpu", "max_rows": 5, "format": "csv"})
    assert (headers["X-Watchdesk-Truncated"], found.count(b"\n")) == ("rows", 6)


async def test_an_error_points_into_the_query(served: Served) -> None:
    status, _, found = await post(served, "/api/v1/sql", {"query": "SELECT hosst FROM cpu"})
    assert status == 400
    assert found == {
        "error": {
            "message": 'there is no column "hosst"; did you mean host or host_id?',
            "line": 1,
            "column": 8,
            "excerpt": "SELECT hosst FROM cpu\n       ^",
        }
    }


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "the body has no query"),
        ([1], 400, "the body must be a JSON object with query, format, timeout_s, max_rows"),
        ({"query": 7}, 400, "query must be a text"),
        ({"query": "SELECT 1", "format": "xml"}, 400, "format is 'xml'; it must be one of json, csv, arrow"),
        ({"query": "SELECT 1", "max_rows": True}, 400, "max_rows must be a whole number"),
        ({"query": "SELECT 1", "rows": 1}, 400, "'rows' is not known here; the keys are query, format, timeout_s, max_rows"),
        ({"query": "SELECT 1", "timeout_s": 9999}, 400, "timeout_s must be more than 0 and at most 120"),
        ({"query": "COPY cpu TO 'x'"}, 400, "only queries are answered here"),
        ({"query": "SELECT 1 -- " + "x" * 70_000}, 413, "the query is longer than 64 KiB"),
        ({"query": "SELECT repeat('x', 2000000000)"}, 413, "the query needs more memory than one may have"),
        ({"query": "SELECT count(*) FROM range(1000000) a, range(1000000) b", "timeout_s": 0.5}, 408, "the query was stopped after 0.5 s"),
    ],
)
async def test_what_cannot_be_answered_is_explained(served: Served, body: Any, status: int, said: str) -> None:
    answered, _, found = await post(served, "/api/v1/sql", body)
    assert (answered, found["error"]["message"][: len(said)]) == (status, said)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/sql"),
        ("GET", "/api/v1/silences"),
        ("POST", "/api/v1/silences"),
        ("DELETE", "/api/v1/silences/1"),
        ("DELETE", "/api/v1/hosts/web1"),
        ("POST", "/api/v1/notify/test"),
    ],
)
async def test_nothing_of_it_works_without_the_token(served: Served, method: str, path: str, headers: dict[str, str]) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, served.url + path, json={"query": "SELECT 1"}, headers=headers) as response,
    ):
        assert response.status == 401
        assert "Authorization: Bearer" in (await response.json())["error"]["message"]


async def test_a_client_that_goes_away_takes_its_query_with_it(served: Served) -> None:
    slow = {"query": "SELECT count(*) FROM range(1000000) a, range(1000000) b", "timeout_s": 60}
    for _ in range(3):  # more than may run at once
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await post(served, "/api/v1/sql", slow)
    status, _, _ = await post(served, "/api/v1/sql", {"query": "SELECT 1"})
    assert status == 200
