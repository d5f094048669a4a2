import pytest
from watchdesk_collector.sql.guard import Guard, Permitted, Refusal

TABLES = {"cpu", "disk", "hosts", "catalog"}


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "SELECT 1;",
        "-- a comment\nSELECT 1 -- another",
        "FROM cpu",
        "TABLE cpu",
        "VALUES (1), (2)",
        "DESCRIBE cpu",
        "SUMMARIZE cpu",
        "SHOW TABLES",
        "SELECT * FROM main.cpu",
        "SELECT * FROM CPU",
        "SELECT * FROM information_schema.columns",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t",
        "SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3",
        "SELECT host, row_number() OVER (PARTITION BY host ORDER BY ts) FROM cpu QUALIFY true",
        "SELECT * EXCLUDE (ts) REPLACE (1 AS host) FROM cpu",
        "SELECT COLUMNS('.*_ratio') FROM cpu",
        "SELECT list_transform([1], lambda x: x + 1), [x FOR x IN [1]], {'a': 1}, MAP {'a': 1}",
        "SELECT * FROM cpu ASOF JOIN disk USING (host, ts)",
        "SELECT * FROM cpu, LATERAL (SELECT 1)",
        "SELECT * FROM cpu PIVOT (avg(busy_ratio) FOR host IN ('a'))",
        "SELECT * FROM range(3), generate_series(1, 2), unnest([1]), json_each('[1]')",
        "SELECT DISTINCT ON (host) * FROM cpu ORDER BY ALL DESC LIMIT 10% OFFSET 1",
        "SELECT CASE WHEN true THEN ts::DATE END, TRY_CAST('1' AS INT), TRY(1 / 0), a COLLATE NOCASE FROM cpu GROUP BY GROUPING SETS ((ts), ())",
        "SELECT EXISTS (SELECT 1), 1 IN (1, 2), 1 BETWEEN 0 AND 2, NULL IS NULL, #1, count(*) FILTER (WHERE true)",
        "SELECT * FROM cpu TABLESAMPLE 10%",
        "SELECT host ~ 'web', host LIKE 'w%', regexp_matches(host, 'w') FROM cpu",
        "SELECT max(used_ratio) FROM disk WHERE ts > now() - INTERVAL 1 DAY GROUP BY host",
    ],
)
def test_what_an_operator_asks_is_permitted(guard: Guard, query: str) -> None:
    assert isinstance(guard.check(query, TABLES), Permitted)


@pytest.mark.parametrize(
    ("query", "said", "position"),
    [
        ("", "the query is empty; try SELECT * FROM hosts", None),
        ("SELECT 1; SELECT 2", "there are 2 statements; send one at a time", None),
        ("SELECT 'é', getenv('HOME')", 'the function "getenv" is not allowed in a query', 12),
        ("SELECT GetEnv('HOME')", 'the function "getenv" is not allowed in a query', 7),
        ("SELECT main.getenv('HOME')", 'the function "getenv" is not allowed in a query', 7),
        ("SELECT * FROM nope", 'there is no table "nope"; the tables are catalog, cpu, disk, hosts', 14),
        ("SELECT * FROM other.cpu", 'there is no table "other.cpu"; did you mean cpu?', 14),
        ("SELECT * FROM cpu WHERE host = ?", "parameters such as ? and $1 have no value here; write the value into the query", None),
        ("SHOW DATABASES", "SHOW DATABASES is not allowed; SHOW TABLES is", None),
        ("SELECT 1\0", "the query contains a NUL character; remove it", 8),
        ("SELECT " + "1 + " * 5000 + "1", "the query is nested too deeply; split it with WITH", None),
        ("SELECT " + "(" * 20000 + "1" + ")" * 20000, "the query is nested too deeply; split it with WITH", None),
        ("SELECT " + "abs(" * 900 + "1" + ")" * 900, "the query is nested too deeply; split it with WITH", None),
    ],
)
def test_a_refusal_says_what_and_where(guard: Guard, query: str, said: str, position: int | None) -> None:
    assert guard.check(query, TABLES) == Refusal(message=said, position=position)


def test_a_cte_hides_no_table_that_does_not_exist(guard: Guard) -> None:
    assert isinstance(guard.check("WITH x AS (SELECT * FROM secrets) SELECT * FROM x", TABLES), Refusal)
    assert isinstance(guard.check("WITH secrets AS (SELECT 1) SELECT * FROM main.secrets", TABLES), Refusal)


def test_tables_are_found_wherever_they_are_named(guard: Guard) -> None:
    query = "WITH x AS (FROM cpu) SELECT (SELECT max(used_ratio) FROM disk) FROM x WHERE EXISTS (FROM hosts)"
    permit = guard.check(query, TABLES)
    assert isinstance(permit, Permitted)
    assert permit.tables == {"cpu", "disk", "hosts"}
