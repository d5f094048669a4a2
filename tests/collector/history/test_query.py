"""What readers see: hosts by name, a span of time, one moment, and clear words when they ask for what isn't there."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from collector.history.kit import EPOCH, HOST, START, batch, cpu, disk, history_at, host, ranges, stored_seqs
from fakes import FakeClock
from watchdesk_collector.clock import to_us
from watchdesk_collector.history import HistoryFailed, QueryError, Snapshot, UnknownMeasurement, hot_name
from watchdesk_collector.history.instance import reading

AT = to_us(START)


def test_rows_show_the_hosts_present_name_and_only_hosts_that_are_listed(tmp_path: Path) -> None:
    hosts = [host(11, "web1"), host(12, "db1")]
    history = history_at(tmp_path, hosts=hosts)
    history.commit([batch(1), batch(1, host_id=12)], [])
    assert history.query("SELECT host FROM cpu ORDER BY host", tables=["cpu"])["host"].to_pylist() == ["db1", "web1"]
    hosts[:] = [host(11, "web-renamed")]
    assert history.query("SELECT host FROM cpu", tables=["cpu"])["host"].to_pylist() == ["web-renamed"]
    assert history.query("SELECT host, connected FROM hosts", tables=["hosts"]).to_pylist() == [{"host": "web-renamed", "connected": True}]
    history.close()


def test_the_span_includes_both_ends_hot_and_sealed_and_reads_no_other_file(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    for seq in range(1, 5):
        history.commit([batch(seq, tables=[cpu([AT + seq * 86_400_000_000], [0.5], [seq])])], [])
        history.seal() if seq < 4 else None
    day = timedelta(days=1)
    since, until = START + 2 * day, START + 3 * day
    assert history.query("SELECT cores FROM cpu ORDER BY ts", tables=["cpu"], since=since, until=until)["cores"].to_pylist() == [2, 3]
    assert history.query("SELECT cores FROM cpu", tables=["cpu"], since=START + 4 * day)["cores"].to_pylist() == [4]
    files = history.snapshot(["cpu"], since, until).tables["cpu"].files
    assert [path.parent.name for path in files] == ["2026-01-03", "2026-01-04"]
    history.close()


def test_queries_take_parameters_ctes_order_and_several_tables(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(seq, tables=[cpu([AT + seq], [0.5], [seq]), disk([AT + seq], [0], [seq], [-1], ["/"])]) for seq in range(1, 9)], [])
    sql = """
    WITH big AS (SELECT * FROM cpu WHERE cores > ?)
    SELECT big.cores, disk.used_bytes FROM big JOIN disk USING (host, ts) ORDER BY big.cores DESC LIMIT 2
    """
    assert history.query(sql, [3], tables=["cpu", "disk"]).to_pylist() == [{"cores": 8, "used_bytes": 8}, {"cores": 7, "used_bytes": 7}]
    sql = "SELECT count(*) AS n FROM cpu a JOIN cpu b USING (ts) WHERE $2 IS NULL OR a.cores >= $1"
    assert history.query(sql, [5, None], tables=["cpu"]).to_pylist() == [{"n": 8}]
    history.close()


def test_times_are_utc(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1, tables=[cpu([AT], [0.5], [1])])], [])
    found = history.query("SELECT ts, date_trunc('day', ts) AS day, ts::VARCHAR AS text FROM cpu", tables=["cpu"])
    assert found.schema.field("ts").type == pa.timestamp("us", "UTC")
    assert found.to_pylist() == [{"ts": START, "day": START.replace(hour=0), "text": "2026-01-01 12:00:00+00"}]
    history.close()


def test_what_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    with pytest.raises(UnknownMeasurement, match="no measurement 'cpus'"):
        history.query("SELECT 1 FROM cpus", tables=["cpus"])
    with pytest.raises(QueryError, match="busy"):
        history.query("SELECT busy FROM cpu", tables=["cpu"])
    with pytest.raises(QueryError, match="Conversion"):
        history.query("SELECT CAST('x' AS INTEGER) AS x FROM cpu RIGHT JOIN (SELECT 1) ON true", tables=["cpu"])
    assert stored_seqs(history) == []  # the cursor of a failed query is no longer in the way
    history.close()


def test_a_query_cannot_write(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    for sql in ("DELETE FROM manifest", "DROP TABLE cpu__g1", "SELECT 1; DROP TABLE cpu__g1"):
        with pytest.raises(QueryError):
            history.query(sql, tables=["cpu"])
    assert stored_seqs(history) == []
    history.close()


def answer(snapshot: Snapshot, sql: str) -> list[dict[str, object]]:
    """As a process of its own would."""
    with duckdb.connect() as connection:
        connection.register("hosts", snapshot.hosts)
        connection.register("catalog", snapshot.catalog)
        for name, table in snapshot.tables.items():
            connection.register(hot_name(name), table.hot)
            connection.execute(f"CREATE VIEW {name} AS {table.relation}")
        return list(connection.sql(sql).to_arrow_table().to_pylist())


def test_a_snapshot_answers_as_history_does_even_after_its_files_left(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock)
    for seq in (1, 2):
        history.commit([batch(seq)], [])
        history.seal()
    history.commit([batch(3)], [])
    sql = "SELECT host, cores, ts FROM cpu JOIN hosts USING (host) ORDER BY ts"
    expected = history.query(sql, tables=["cpu"]).to_pylist()
    snapshot = history.snapshot(["cpu", "batch"])
    clock.advance(3600)
    history.compact()
    history.checkpoint()
    assert answer(snapshot, sql) == expected
    assert answer(snapshot, "SELECT sum(seq)::BIGINT AS n FROM batch") == [{"n": 6}]
    assert answer(snapshot, "SELECT count(*) AS n FROM catalog WHERE measurement = 'cpu'") == [{"n": 2}]
    history.close()


def test_readers_see_each_row_once_while_generations_come_and_go(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock)
    history.commit([batch(seq) for seq in range(1, 101)], [])
    done = threading.Event()
    seen: list[set[int]] = []

    def read() -> None:
        while not done.is_set():
            seqs = stored_seqs(history)
            snapshot = history.snapshot(["cpu"]).tables["cpu"]
            assert len(seqs) == len(set(seqs))
            assert seqs == list(range(1, len(seqs) + 1))
            assert snapshot.hot.num_rows <= 130
            seen.append(set(seqs))

    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            read()
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=guarded) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for seq in range(101, 131):
            history.commit([batch(seq)], [])
            if seq % 3 == 0:
                history.seal()
            if seq % 10 == 0:
                clock.advance(3601)
                history.compact()
                assert history.checkpoint()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert len(seen) > 5
    assert all(set(range(1, 101)) <= one for one in seen)
    history.close()


def test_closing_interrupts_a_long_query(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    started = threading.Event()
    outcome: list[BaseException] = []

    def long() -> None:
        started.set()
        try:
            history.query("SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = 7", tables=[])
        except (QueryError, HistoryFailed) as error:
            outcome.append(error)

    thread = threading.Thread(target=long)
    thread.start()
    started.wait(10)
    history.close()
    thread.join(30)
    assert len(outcome) == 1
    with pytest.raises(HistoryFailed, match="closed"):
        history.query("SELECT 1", tables=[])


def test_a_checkpoint_waits_for_the_next_one_when_a_long_query_is_in_the_way(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1)], [])
    with history._store.instance.reader() as cursor, reading(cursor):
        cursor.execute("SELECT count(*) FROM cpu__g1").fetchall()
        history.rotate()
        assert history.checkpointed(HOST) == {}
        assert not history.checkpoint()
    assert history.checkpoint()
    assert ranges(history.checkpointed(HOST)) == {EPOCH: [(1, 1)]}
    history.close()


def test_the_connection_is_bounded_and_in_utc(tmp_path: Path) -> None:
    history = history_at(tmp_path, memory_limit=512 << 20, threads=2)
    sql = "SELECT current_setting('memory_limit') AS memory, current_setting('threads') AS threads, current_setting('TimeZone') AS zone"
    assert history.query(sql, tables=[]).to_pylist() == [{"memory": "512.0 MiB", "threads": 2, "zone": "UTC"}]
    tags = history.query("SELECT tags['storage_version'] AS version FROM duckdb_databases() WHERE database_name = 'hot'", tables=[]).to_pylist()
    assert tags == [{"version": "v1.5.0+"}]
    history.close()


def test_no_database_file_is_opened_but_by_duckdb(tmp_path: Path) -> None:
    """Closing any other handle on it would drop DuckDB's lock: then a second process could write."""
    history = history_at(tmp_path)
    history.commit([batch(1)], [])
    history.seal()
    history.retain()
    history.sizes()
    history.free_bytes()
    script = (
        f"import duckdb\ntry:\n    duckdb.connect({str(tmp_path / 'hot.duckdb')!r})\nexcept duckdb.IOException as e:\n    print('lock' in str(e))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "True\n"
    history.close()
