"""Declarations: new tables, new columns, and what is refused."""

from pathlib import Path

import pytest
from collector.history.kit import CPU, START, batch, cpu, history_at, words
from watchdesk_collector.clock import to_us
from watchdesk_collector.model import Table
from watchdesk_proto.catalogue import Column, Kind, Measurement, Type, gauge, label

AT = to_us(START)
WIDER = Measurement(name="cpu", help="Processors.", columns=(*CPU.columns, gauge("idle_ratio", "Idle.", unit="ratio")))


def test_new_columns_and_measurements_survive_a_restart(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    fresh = Measurement(name="gpu", help="Graphics.", columns=(label("card", "Which."), gauge("busy_ratio", "Busy.", unit="ratio")))
    assert history.declare(WIDER) is None
    assert history.declare(fresh) is None
    history.close()
    history = history_at(tmp_path, catalogue=())
    assert {m.name: m for m in history.catalogue()}["cpu"] == WIDER
    assert {m.name: m for m in history.catalogue()}["gpu"] == fresh
    found = history.query("SELECT column_name, kind, type, unit, help FROM catalog WHERE measurement = 'gpu'", tables=[]).to_pylist()
    assert [tuple(row.values()) for row in found] == [("card", "label", "text", "", "Which."), ("busy_ratio", "gauge", "float64", "ratio", "Busy.")]
    history.close()


def test_what_the_catalogue_holds_need_not_be_declared_again_after_a_restart(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    assert history.declare(WIDER) is None
    history.close()
    history = history_at(tmp_path)
    assert WIDER in history.catalogue()
    table = Table(schema_id=WIDER.schema_id, words=words([AT], [0.5], [4], [0.25]), texts=())
    history.commit([batch(1, tables=[table])], [])
    assert history.query("SELECT idle_ratio FROM cpu", tables=["cpu"]).to_pylist() == [{"idle_ratio": 0.25}]
    history.close()


def test_rows_from_before_a_column_are_null_in_it_hot_waiting_sealed_and_merged(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    history.commit([batch(1)], [])
    history.seal()
    history.commit([batch(2)], [])
    history.rotate()
    history.commit([batch(3)], [])
    assert history.declare(WIDER) is None
    table = Table(schema_id=WIDER.schema_id, words=words([AT + 9_000_000], [0.5], [4], [0.25]), texts=())
    history.commit([batch(4, tables=[table])], [])
    expected = [(1, None), (2, None), (3, None), (4, 0.25)]

    def idle() -> list[tuple[int, float | None]]:
        return [tuple(row.values()) for row in history.query("SELECT cores, idle_ratio FROM cpu ORDER BY cores", tables=["cpu"]).to_pylist()]

    assert idle() == expected
    history.seal()
    assert idle() == expected
    history.reopen()
    assert idle() == expected
    history.close()


@pytest.mark.parametrize(
    ("column", "words_of_the_reason"),
    [
        (gauge("busy_ratio", "Busy.", unit="percent"), "gauge float64 in percent, but history holds it as gauge float64 in ratio"),
        (gauge("busy_ratio", "Busy.", unit="ratio", type=Type.INT64), "gauge int64 in ratio, but"),
        (label("busy_ratio", "Busy."), "label text, but"),
        (Column(name="busy_ratio", kind=Kind.COUNTER, type=Type.FLOAT64, unit="ratio", help="Busy."), "counter float64 in ratio, but"),
    ],
)
def test_another_type_unit_or_kind_is_refused_with_a_sentence(tmp_path: Path, column: Column, words_of_the_reason: str) -> None:
    history = history_at(tmp_path)
    reason = history.declare(Measurement(name="cpu", help="Processors.", columns=(column, gauge("new", "New."))))
    assert reason is not None
    assert reason.startswith("cpu.busy_ratio is declared as ")
    assert words_of_the_reason in reason
    assert CPU in history.catalogue()
    history.close()


def test_another_help_text_is_no_conflict(tmp_path: Path) -> None:
    history = history_at(tmp_path)
    assert history.declare(Measurement(name="cpu", help="Other words.", columns=(gauge("busy_ratio", "Other words.", unit="ratio"),))) is None
    assert CPU in history.catalogue()
    history.close()


def test_limits_and_reserved_names_are_refused_with_the_remedy(tmp_path: Path) -> None:
    history = history_at(tmp_path, catalogue=(CPU,), max_measurements=2, max_columns=11)
    columns = (gauge("value", "A value."),)
    reasons = [
        history.declare(Measurement(name="third", help="Third.", columns=columns)),
        history.declare(Measurement(name="cpu", help="Wide.", columns=tuple(gauge(f"value{i}", "A value.") for i in range(10)))),
        history.declare(Measurement(name="hosts", help="Hosts.", columns=columns)),
        history.declare(Measurement(name="batch", help="Batches.", columns=columns)),
        history.declare(Measurement(name="cpu", help="Empty.", columns=())),
        history.declare(Measurement(name="cpu", help="x" * 501, columns=columns)),
    ]
    assert [reason is not None for reason in reasons] == [True] * 6
    assert "raise history.max_measurements" in str(reasons[0])
    assert "raise history.max_columns" in str(reasons[1])
    assert "another meaning in SQL" in str(reasons[2])
    history.close()


def test_a_builtin_measurement_that_no_longer_fits_is_told_and_the_table_stays(tmp_path: Path) -> None:
    history_at(tmp_path).close()
    changed = Measurement(name="cpu", help="Processors.", columns=(gauge("busy_ratio", "Busy.", unit="percent"),))
    history = history_at(tmp_path, catalogue=(changed,))
    recovery = history.reopen()
    assert len(recovery.conflicts) == 1
    assert "cpu.busy_ratio" in recovery.conflicts[0]
    assert CPU in history.catalogue()
    history.close()


def test_names_that_are_sql_words_or_look_like_generations_are_plain_names(tmp_path: Path) -> None:
    odd = [
        Measurement(name=name, help="Odd.", columns=(gauge("select", "Odd."), gauge("end", "Odd."))) for name in ("table", "cpu__g1", "cpu__g1__g2")
    ]
    history = history_at(tmp_path, catalogue=(CPU, *odd))
    tables = [Table(schema_id=one.schema_id, words=words([AT], [0.5], [1.5]), texts=()) for one in odd]
    history.commit([batch(1, tables=[*tables, cpu([AT], [0.5], [1])])], [])
    history.seal()
    history.reopen()
    for name in ("table", "cpu__g1", "cpu__g1__g2", "cpu"):
        assert history.query(f'SELECT count(*) AS n FROM "{name}"', tables=[name]).to_pylist() == [{"n": 1}]
    history.close()
