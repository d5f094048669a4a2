from datetime import UTC, datetime, timedelta

import pytest
from watchdesk_collector.sql.guard import Guard, Permitted
from watchdesk_collector.sql.timerange import TimeRange

TABLES = {"cpu", "disk"}
OPEN = TimeRange()
SLACK = timedelta(minutes=1)
DAY = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard()


def range_of(guard: Guard, query: str) -> TimeRange:
    permit = guard.check(query, TABLES)
    assert isinstance(permit, Permitted), permit
    return permit.ts


@pytest.mark.parametrize(
    "condition",
    [
        "ts >= '2026-01-02'",
        "ts > TIMESTAMPTZ '2026-01-02 00:00:00+00'",
        "'2026-01-02' < ts",
        "cpu.ts > '2026-01-02'::DATE",
        "ts > DATE '2026-01-03' - INTERVAL 1 DAY",
        "ts > to_timestamp(1767312000)",
        "ts > date_trunc('day', TIMESTAMPTZ '2026-01-02 17:00:00+00')",
        "host = 'web1' AND (ts > '2026-01-02' AND busy_ratio > 0.5)",
        "ts > '2025-01-01' AND ts > '2026-01-02'",
    ],
)
def test_a_lower_bound_is_read(guard: Guard, condition: str) -> None:
    assert range_of(guard, f"SELECT * FROM cpu WHERE {condition}") == TimeRange(since=DAY - SLACK)


@pytest.mark.parametrize("condition", ["ts BETWEEN '2026-01-02' AND '2026-01-03'", "ts >= '2026-01-02' AND '2026-01-03' > ts"])
def test_both_bounds_are_read(guard: Guard, condition: str) -> None:
    assert range_of(guard, f"SELECT * FROM cpu WHERE {condition}") == TimeRange(since=DAY - SLACK, until=DAY + timedelta(days=1) + SLACK)


def test_now_is_the_clocks(guard: Guard) -> None:
    found = range_of(guard, "SELECT * FROM cpu WHERE ts > now() - INTERVAL '2 hours' AND ts <= current_timestamp")
    assert found.since is not None
    assert found.until is not None
    assert abs(datetime.now(UTC) - timedelta(hours=2) - SLACK - found.since) < timedelta(seconds=5)
    assert abs(datetime.now(UTC) + SLACK - found.until) < timedelta(seconds=5)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM cpu",
        "SELECT * FROM cpu WHERE ts > '2026-01-02' OR host = 'web1'",
        "SELECT * FROM cpu WHERE NOT (ts > '2026-01-02' AND host = 'web1')",
        "SELECT * FROM cpu WHERE ts > (SELECT max(ts) FROM cpu)",
        "SELECT * FROM cpu WHERE ts > '2026-01-02' UNION ALL SELECT * FROM cpu",
        "SELECT *, (SELECT max(ts) FROM disk) FROM cpu WHERE ts > '2026-01-02'",
        "SELECT * FROM (SELECT * FROM cpu) WHERE ts > '2026-01-02'",
        "SELECT * FROM cpu JOIN disk USING (host) WHERE cpu.ts > '2026-01-02'",
        "SELECT * FROM cpu ASOF JOIN disk USING (host, ts) WHERE cpu.ts > '2026-01-02' AND disk.ts > '2026-01-02'",
        "SELECT * FROM cpu POSITIONAL JOIN disk WHERE cpu.ts > '2026-01-02' AND disk.ts > '2026-01-02'",
        "SELECT * FROM cpu TABLESAMPLE 10% WHERE ts > '2026-01-02'",
        "SELECT * FROM cpu AS c(moment, ts) WHERE ts > '2026-01-02'",
        "SELECT * FROM disk, LATERAL (SELECT * FROM cpu WHERE disk.ts > '2026-01-02')",
        "SELECT * FROM cpu PIVOT (max(ts) FOR host IN ('a')) WHERE ts > '2026-01-02'",
        "SELECT max(ts) FROM cpu HAVING max(ts) > '2026-01-02'",
        "SELECT * FROM cpu WHERE ts > ts - INTERVAL 1 DAY",
        "SELECT * FROM cpu WHERE ts > 'soon'",
        "SELECT * FROM cpu WHERE ts < 'infinity'",
        "SELECT 1",
    ],
)
def test_whatever_is_not_surely_understood_means_all_of_history(guard: Guard, query: str) -> None:
    assert range_of(guard, query) == OPEN


def test_the_range_covers_every_mention_of_a_table(guard: Guard) -> None:
    query = "SELECT * FROM cpu c JOIN disk d USING (host) WHERE c.ts > '2026-01-02' AND d.ts > '2026-01-01' AND c.ts < '2026-01-03'"
    assert range_of(guard, query) == TimeRange(since=DAY - timedelta(days=1) - SLACK)
