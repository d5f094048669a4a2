import json

import pytest
from collector.sql.conftest import Desk
from watchdesk_collector.sql.guard import Guard, Permitted
from watchdesk_collector.sql.model import SqlResult


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard()


def columns_of(guard: Guard, query: str) -> frozenset[str] | None:
    permit = guard.check(query, {"cpu", "disk", "probe"})
    assert isinstance(permit, Permitted), permit
    return permit.columns


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("SELECT count(*) FROM cpu", set()),
        ("SELECT host, max(BUSY_ratio) FROM cpu c WHERE c.ts > now() GROUP BY host ORDER BY 2", {"c", "host", "busy_ratio", "ts"}),
        ("SELECT 1 FROM cpu JOIN disk USING (host, ts) WHERE used_ratio > 0", {"host", "ts", "used_ratio"}),
        ("SELECT (SELECT max(used_ratio) FROM disk) FROM cpu QUALIFY row_number() OVER (PARTITION BY a ORDER BY b) = 1", {"used_ratio", "a", "b"}),
        ("WITH x AS (SELECT busy_ratio AS b FROM cpu) SELECT b FROM x HAVING max(c) > 0", {"busy_ratio", "b", "c"}),
        ("SELECT list_transform([idle_ratio], lambda v: v + busy_ratio) FROM cpu GROUP BY ALL", {"idle_ratio", "v", "busy_ratio"}),
    ],
)
def test_the_columns_that_are_named_are_read(guard: Guard, query: str, columns: set[str]) -> None:
    assert columns_of(guard, query) == frozenset(columns)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM cpu",
        "FROM cpu",
        "SELECT c.* FROM cpu c",
        "SELECT c FROM cpu c",
        "SELECT cpu FROM cpu",
        "SELECT COLUMNS('.*_ratio') FROM cpu",
        "SELECT x FROM cpu AS c(t, x)",
        "SELECT busy_ratio FROM cpu NATURAL JOIN disk",
        "SELECT 1 FROM cpu WHERE EXISTS (FROM disk)",
        "SUMMARIZE cpu",
        "DESCRIBE cpu",
        "SELECT 1 FROM cpu PIVOT (max(busy_ratio) FOR host IN ('a'))",
        "SELECT busy_ratio FROM cpu ORDER BY ALL",
    ],
)
def test_whatever_may_mean_all_columns_means_all(guard: Guard, query: str) -> None:
    assert columns_of(guard, query) is None


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*), max(ts) FROM cpu",
        "SELECT host, round(sum(busy_ratio), 3) FROM cpu GROUP BY host ORDER BY host",
        "SELECT p.probe, p.success, count(c.idle_ratio) FROM probe p LEFT JOIN cpu c USING (host) GROUP BY ALL ORDER BY 1",
        "SELECT c.busy_ratio FROM cpu c ORDER BY c.ts DESC, host LIMIT 3",
    ],
)
async def test_answers_are_those_of_whole_tables(desk: Desk, query: str) -> None:
    narrow = await desk.runner.run(query)
    whole = await desk.runner.run(f"SELECT * FROM ({query})")  # the star asks for every column
    assert isinstance(narrow, SqlResult)
    assert isinstance(whole, SqlResult)
    assert json.loads(narrow.body)["rows"] == json.loads(whole.body)["rows"]
