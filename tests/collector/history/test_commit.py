"""What a commit stores, and what it leaves alone when it cannot."""

from pathlib import Path

import pytest
from collector.history.kit import (
    CPU,
    DISK,
    EPOCH,
    HOST,
    START,
    batch,
    batch_seqs,
    cpu,
    disk,
    history_at,
    hole,
    host,
    ranges,
    stored_seqs,
    words,
)
from fakes import FakeClock
from watchdesk_collector.clock import to_us
from watchdesk_collector.history import CommitFailed, HistoryFull
from watchdesk_collector.history.steps import Step
from watchdesk_collector.model import Outcome, Table
from watchdesk_proto.catalogue import Measurement, Type, gauge

AT = to_us(START)


def test_values_texts_and_nulls_come_back_as_they_were_sent(tmp_path: Path) -> None:
    history = history_at(tmp_path, hosts=(host(), host(12, "db1")))
    one = batch(1, tables=[disk([AT, AT + 1], [0, 1], [5, None], [-1, 2], ["/", "/home", "full"]), cpu([AT, AT + 1], [0.25, None], [None, 8])])
    other = batch(1, host_id=12, tables=[disk([AT + 2, AT + 3, AT + 4], [0, -1, 0], [7, 8, 9], [1, 0, 1], ["/ü", "y"])])
    history.commit([one, other], [])
    found = history.query("SELECT host, mount, used_bytes, note FROM disk ORDER BY ts", tables=["disk"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("web1", "/", 5, None),
        ("web1", "/home", None, "full"),
        ("db1", "/ü", 7, "y"),
        ("db1", None, 8, "/ü"),
        ("db1", "/ü", 9, "y"),
    ]
    found = history.query("SELECT epoch_us(ts) AS ts, busy_ratio, cores FROM cpu ORDER BY ts", tables=["cpu"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [(AT, 0.25, None), (AT + 1, None, 8)]
    history.close()


def test_every_fate_of_a_batch_is_a_row_and_durable(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1), batch(2)], [hole(3, 5), hole(6, 6, outcome=Outcome.REJECTED)])
    rows = history.query("SELECT seq, seq_to, lane, outcome, reason, content_hash, rows, bytes FROM batch ORDER BY seq", tables=["batch"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (1, 1, "live", "stored", None, 31, 1, 100),
        (2, 2, "live", "stored", None, 62, 1, 100),
        (3, 5, None, "dropped", "spool_age", None, 0, 0),
        (6, 6, None, "rejected", "spool_age", None, 0, 0),
    ]
    assert ranges(history.durable(HOST)) == {EPOCH: [(1, 6)]}
    assert history.checkpointed(HOST) == {}
    history.checkpoint()
    assert ranges(history.checkpointed(HOST)) == {EPOCH: [(1, 6)]}
    history.close()


def test_content_hash_is_found_hot_and_sealed_and_only_for_stored_batches(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1)], [hole(2, 2)])
    history.seal()
    history.commit([batch(3)], [])
    assert [history.content_hash(HOST, EPOCH, seq) for seq in (1, 2, 3, 4)] == [31, None, 93, None]
    history.close()


def test_numbers_of_64_bits_survive_a_restart(tmp_path: Path) -> None:
    epoch, seq = 2**64 - 5, 2**63 + 1
    history = history_at(tmp_path)
    history.commit([batch(1, epoch=epoch), batch(2, epoch=epoch)], [hole(seq, seq + 1, epoch=epoch)])
    history.reopen()
    assert ranges(history.durable(HOST)) == {epoch: [(1, 2), (seq, seq + 1)]}
    history.seal()
    history.reopen()
    assert ranges(history.durable(HOST)) == {epoch: [(1, 2), (seq, seq + 1)]}
    assert history.content_hash(HOST, epoch, 2) == 62
    history.close()


def test_an_older_agents_schema_is_stored_by_column_name(tmp_path: Path) -> None:
    older = Measurement(name="cpu", help="Processors.", columns=(CPU.columns[1],))
    reordered = Measurement(name="cpu", help="Processors.", columns=(CPU.columns[1], CPU.columns[0]))
    history = history_at(tmp_path)
    assert history.declare(older) is None
    assert history.declare(reordered) is None
    tables = [
        Table(schema_id=older.schema_id, words=words([AT], [4]), texts=()),
        Table(schema_id=reordered.schema_id, words=words([AT + 1], [8], [0.5]), texts=()),
        cpu([AT + 2], [0.75], [16]),
    ]
    history.commit([batch(1, tables=tables)], [])
    found = history.query("SELECT busy_ratio, cores FROM cpu ORDER BY ts", tables=["cpu"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [(None, 4), (0.5, 8), (0.75, 16)]
    history.close()


def test_below_the_floor_nothing_is_touched(tmp_path: Path) -> None:
    history = history_at(tmp_path, free_space_floor=1 << 60)
    with pytest.raises(HistoryFull, match=r"history\.free_space_floor"):
        history.commit([batch(1)], [])
    assert history.durable(HOST) == {}
    assert stored_seqs(history) == []
    history.close()


def test_a_transaction_that_breaks_off_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    stops = [Stop()]

    def stop_once(step: Step) -> None:
        if step is Step.ROWS_INSERTED and stops:
            raise stops.pop()

    history = history_at(tmp_path, steps=stop_once)
    with pytest.raises(Stop):
        history.commit([batch(1)], [])
    assert (stored_seqs(history), batch_seqs(history), history.durable(HOST)) == ([], [], {})
    history.commit([batch(1)], [])
    assert (stored_seqs(history), batch_seqs(history)) == ([1], [1])
    history.close()


def test_an_empty_commit_is_no_transaction(tmp_path: Path) -> None:
    history = history_at(tmp_path, free_space_floor=1 << 60)
    history.commit([], [])
    history.close()


def test_rotation_is_due_by_age_and_by_rows(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock, generation_age=600.0, generation_rows=10)
    clock.advance(601)
    assert not history.rotation_is_due()  # nothing to seal
    history.commit([batch(1)], [])
    assert history.rotation_is_due()
    history.rotate()
    assert not history.rotation_is_due()
    history.commit([batch(seq) for seq in range(2, 7)], [])
    assert history.rotation_is_due()  # five samples and five batch rows
    history.close()


def test_the_age_of_a_generation_outlives_a_restart(tmp_path: Path) -> None:
    clock = FakeClock(START)
    history = history_at(tmp_path, clock=clock, generation_age=600.0)
    history.commit([batch(1)], [])
    clock.advance(700)
    history.reopen()
    assert history.rotation_is_due()
    history.close()


@pytest.mark.parametrize("type_", [Type.FLOAT64, Type.INT64])
def test_a_column_without_any_value_is_all_null(tmp_path: Path, type_: Type) -> None:
    measurement = Measurement(name="odd", help="Odd.", columns=(gauge("nothing", "Nothing.", type=type_),))
    history = history_at(tmp_path, catalogue=(measurement,))
    nothing = [float("nan")] * 3 if type_ is Type.FLOAT64 else [None] * 3
    history.commit([batch(1, tables=[Table(schema_id=measurement.schema_id, words=words([AT, AT + 1, AT + 2], nothing), texts=())])], [])
    assert history.query("SELECT count(*) AS n, count(nothing) AS there FROM odd", tables=["odd"]).to_pylist() == [{"n": 3, "there": 0}]
    history.close()


def test_an_undeclared_schema_is_the_callers_bug_and_stores_nothing(tmp_path: Path) -> None:
    history = history_at(tmp_path, catalogue=(CPU,))
    with pytest.raises(KeyError):
        history.commit([batch(1, tables=[disk([AT], [0], [1], [0], ["/"])])], [])
    assert history.durable(HOST) == {}
    assert DISK.name not in [measurement.name for measurement in history.catalogue()]
    history.close()


def test_commit_failed_says_so(tmp_path: Path) -> None:
    """A column that vanished below is a stand-in for whatever DuckDB may refuse."""
    history = history_at(tmp_path)
    other = Measurement(name="cpu", help="Processors.", columns=(*CPU.columns, gauge("extra", "Extra.")))
    assert history.declare(other) is None
    table = Table(schema_id=other.schema_id, words=words([AT], [0.5], [1], [0.5]), texts=())
    history._store.instance.writer.execute('ALTER TABLE "cpu__g1" DROP COLUMN extra')
    with pytest.raises(CommitFailed, match="history could not be written"):
        history.commit([batch(1), batch(2, tables=[table])], [])
    assert (batch_seqs(history), history.durable(HOST)) == ([], {})
    history.close()
