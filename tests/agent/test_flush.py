"""Rows become batches on disk; log lines and the positions behind them together or not at all."""

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent.unpacking import tables_of
from fakes import FakeClock
from watchdesk_agent.flush import MAX_WAITING_ROWS, Flush
from watchdesk_agent.log_tail import LogTail
from watchdesk_agent.logs import LogConfig, LogReader
from watchdesk_agent.logs.config import StartAt
from watchdesk_agent.model import Samples
from watchdesk_agent.spool import Spool, SpoolConfig
from watchdesk_proto.catalogue import Measurement, gauge
from watchdesk_proto.v1 import ingest_pb2 as pb

LEVEL = Measurement(name="level", help="A test.", columns=(gauge("value", "A number."),))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def spool(tmp_path: Path, clock: FakeClock) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.db", config=SpoolConfig(), epoch=1, clock=clock)
    yield spool
    spool.close()


def make_flush(spool: Spool, clock: FakeClock, *, logs: LogReader | None = None, phase: float = 0.0, told: list[None] | None = None) -> Flush:
    on_spooled = (lambda: told.append(None)) if told is not None else lambda: None
    return Flush(
        spool=spool,
        logs=LogTail(logs, spool=spool, clock=clock, marker="here") if logs else None,
        clock=clock,
        interval_s=10.0,
        phase=phase,
        max_batch_bytes=lambda: 100_000,
        is_connected=lambda: True,
        on_spooled=on_spooled,
    )


def spooled(spool: Spool) -> list[pb.Batch]:
    batches: list[pb.Batch] = []
    after = 0
    while (entry := spool.next_unsent(after=after)) is not None:
        batches.append(pb.Batch(tables=tables_of(pb.Batch.FromString(entry.payload))))
        after = entry.id
    return batches


def messages(spool: Spool) -> list[str]:
    return [text for batch in spooled(spool) for table in batch.tables[:1] for text in table.texts if text.startswith("error:")]


def follow(folder: Path, positions: dict[str, str]) -> LogReader:
    return LogReader([LogConfig(name="app", files=(f"{folder}/app.log",), start_at=StartAt.BEGINNING)], positions=positions)


def test_what_was_taken_between_two_flushes_is_one_table_of_one_batch(spool: Spool, clock: FakeClock) -> None:
    told: list[None] = []
    flush = make_flush(spool, clock, told=told)
    for second in range(10):
        flush.add(Samples(LEVEL, [(second, (float(second),))]))
    flush.flush()
    flush.flush()
    [batch] = spooled(spool)
    assert [(table.schema_id, table.rows) for table in batch.tables] == [(LEVEL.schema_id, 10)]
    assert list(spool.declarations()) == [LEVEL.schema_id]
    assert len(told) == 1
    assert flush.rows_taken == 10


def test_hosts_flush_at_different_phases_of_the_same_interval(spool: Spool, clock: FakeClock) -> None:
    early, late = make_flush(spool, clock, phase=0.1), make_flush(spool, clock, phase=0.7)
    assert [early.delay_s(), late.delay_s()] == pytest.approx([1.0, 7.0])
    clock.advance(1.5)
    assert [early.delay_s(), late.delay_s()] == pytest.approx([9.5, 5.5])


def test_memory_is_bounded_when_the_disk_hangs(spool: Spool, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    flush = make_flush(spool, clock)
    for _ in range(3):
        flush.add(Samples(LEVEL, [(0, (1.0,))] * (MAX_WAITING_ROWS // 2)))
    assert flush.rows_dropped == MAX_WAITING_ROWS // 2
    assert len([record for record in caplog.records if "dropped_rows_total" in record.message]) == 1
    flush.flush()
    assert sum(table.rows for batch in spooled(spool) for table in batch.tables) == MAX_WAITING_ROWS


def test_log_lines_are_spooled_with_the_positions_behind_them(spool: Spool, clock: FakeClock, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("error: one\nerror: two\n")
    make_flush(spool, clock, logs=follow(tmp_path, spool.positions())).flush()
    clock.advance(60)
    with (tmp_path / "app.log").open("a") as file:
        file.write("error: three\n")
    restarted = make_flush(spool, clock, logs=follow(tmp_path, spool.positions()))
    restarted.flush()
    clock.advance(60)
    restarted.flush()
    assert messages(spool) == ["error: one", "error: two", "error: three"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_log_lines_that_a_full_disk_did_not_take_are_read_again(tmp_path: Path, clock: FakeClock) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(small)], check=True)
    try:
        spool = Spool(small / "spool.db", config=SpoolConfig(), epoch=1, clock=clock)
        flush = make_flush(spool, clock, logs=follow(tmp_path, {}))
        flush.flush()
        (small / "filler").write_bytes(b"\0" * os.statvfs(small).f_bavail * os.statvfs(small).f_bsize)
        (tmp_path / "app.log").write_text("".join(f"error: {number} {'x' * 200}\n" for number in range(400)))
        for _ in range(3):
            clock.advance(60)
            flush.add(Samples(LEVEL, [(0, (random.random(),)) for _ in range(1000)]))  # what no compression makes small
            flush.flush()
        assert spool.stats().dropped_batches >= 3
        assert messages(spool) == []
        (small / "filler").unlink()
        for _ in range(6):
            clock.advance(60)
            flush.add(Samples(LEVEL, [(0, (1.0,))]))
            flush.flush()
        assert [message.split()[1] for message in messages(spool)] == [str(number) for number in range(400)]
        spool.close()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
