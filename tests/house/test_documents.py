"""What docs/ promises: generated pages are up to date, every table, key and command stands in them, and every example of SQL runs."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from watchdesk_collector.clock import SystemClock, to_us
from watchdesk_collector.history import History, HistoryConfig
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Lane, Table
from watchdesk_collector.sql.config import SqlConfig
from watchdesk_collector.sql.model import Format, SqlResult
from watchdesk_collector.sql.runner import SqlRunner
from watchdesk_proto.catalogue import Measurement, Type, builtin

CHECKOUT = Path(__file__).parents[2]
SQL_PAGE = (CHECKOUT / "docs/sql.md").read_text()
EXAMPLES = re.findall(r"```sql\n(.*?)```", SQL_PAGE, flags=re.DOTALL)
ROWS = 3

sys.path.append(str(CHECKOUT / "docs"))


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRunner]:
    """Over a history with some fresh rows of every measurement."""
    path = tmp_path_factory.mktemp("history")
    history = History(
        path=path, config=HistoryConfig(free_space_floor=1 << 20), catalogue=builtin(), hosts=lambda: [], clock=SystemClock(), metrics=Metrics()
    )
    history.open()
    history.commit([_arrival(builtin())], [])
    yield SqlRunner(history=history, folder=path / "parquet", config=SqlConfig(timeout=20), clock=SystemClock())
    history.close()


def test_generated_pages_are_up_to_date() -> None:
    from generate import generated

    stale = [str(path) for path, text in generated() if (CHECKOUT / path).read_text() != text]
    assert not stale, "run `make docs` and commit what it changes"


@pytest.mark.parametrize("query", EXAMPLES, ids=lambda query: " ".join(query.split())[:50])
async def test_every_example_of_sql_runs(runner: SqlRunner, query: str) -> None:
    answer = await runner.run(query, format=Format.JSON, timeout_s=None, max_rows=None)
    assert isinstance(answer, SqlResult), answer


def test_every_table_stands_in_the_sql_page() -> None:
    tables = {measurement.name for measurement in builtin()} | {"hosts", "catalog", "batch", "gap", "completeness"}
    assert {table for table in tables if f"`{table}`" not in SQL_PAGE} == set()


def test_every_column_stands_in_the_metrics_page() -> None:
    page = (CHECKOUT / "docs/metrics.md").read_text()
    missing = {f"{m.name}.{column.name}" for m in builtin() for column in m.columns if f"`{column.name}`" not in _section(page, m.name)}
    assert missing == set()


@pytest.mark.parametrize("page", sorted(CHECKOUT.glob("*.md")) + sorted((CHECKOUT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def _section(page: str, name: str) -> str:
    return page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def _arrival(measurements: tuple[Measurement, ...]) -> Arrival:
    now_us = to_us(SystemClock().now())
    tables = [_table(measurement, now_us) for measurement in measurements]
    return Arrival(host_id=1, epoch=1, seq=1, lane=Lane.LIVE, received_at_us=now_us, content_hash=1, bytes=1, tables=tables)


def _table(measurement: Measurement, now_us: int) -> Table:
    slots = now_us - np.arange(ROWS, 0, -1) * 1_000_000
    columns = [np.linspace(0.1, 1.0, ROWS).view(np.int64) if column.type is Type.FLOAT64 else np.arange(ROWS) for column in measurement.columns]
    return Table(schema_id=measurement.schema_id, words=np.stack([slots, *columns]), texts=tuple(f"text{number}" for number in range(ROWS)))
