"""The reader over real files: what happens to them, and what is told."""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from watchdesk_agent.logs import LOG, LOG_SOURCE, MEASUREMENTS, LogSourceSampler
from watchdesk_agent.logs.severity import Severity
from watchdesk_agent.model import Instant, Sampler

if TYPE_CHECKING:
    from agent.logs.conftest import Bench

SECOND_US = 1_606_222_740_000_000  # 2020-11-24 12:59:00 UTC


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(line + "\n" for line in lines)


def test_what_was_there_before_is_not_told_and_what_comes_is(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "ERROR old")
    assert bench.settled() == []
    append(log, "ERROR new")
    assert bench.settled() == ["ERROR new"]


@pytest.mark.parametrize("bench", [{"start_at": "beginning"}], indirect=True)
def test_a_source_can_start_at_the_beginning(bench: "Bench") -> None:
    append(bench.folder / "a.log", "ERROR old")
    assert bench.settled() == ["ERROR old"]


def test_a_file_that_appears_later_is_told_from_its_beginning(bench: "Bench") -> None:
    assert bench.settled() == []
    append(bench.folder / "b.log", "ERROR first")
    assert bench.settled() == ["ERROR first"]


def test_a_file_that_appears_while_the_agent_is_down_is_told_from_its_beginning(bench: "Bench") -> None:
    bench.settled()
    append(bench.folder / "b.log", "ERROR first")
    bench.restart()
    assert bench.settled() == ["ERROR first"]


def test_a_line_that_was_cut_by_the_start_is_not_told(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.write_text("INFO no ERROR")
    bench.settled()
    append(log, " ERROR tail of the old line", "ERROR new")
    assert bench.settled() == ["ERROR new"]


def test_a_row_tells_source_path_severity_unit_message_and_lines(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "Nov 24 12:59:00 web1 app[7]: error: x", "INFO x")
    (row,) = bench.chunk().rows
    assert row == (SECOND_US, ("app", str(log), "error", "app", "error: x", 1))
    assert len(row[1]) == len(LOG.columns)


def test_an_implausible_time_is_replaced_by_the_time_of_reading(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "2031-01-01 00:00:00 ERROR from the future", "INFO x")
    assert [ts for ts, _ in bench.chunk().rows] == [bench.now_us]


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    append(log, "ERROR 1", "INFO")
    log.rename(bench.folder / "a.log.1")
    append(log, "ERROR 2", "INFO")
    assert bench.messages() == ["ERROR 1", "ERROR 2"]


def test_a_writer_that_keeps_the_renamed_file_open_loses_nothing(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    with log.open("a", buffering=1) as late:
        bench.settled()
        log.rename(bench.folder / "a.log.1")
        append(log, "ERROR new", "INFO")
        assert bench.messages(after_s=1) == ["ERROR new"]
        late.write("ERROR late\nINFO\n")
        assert bench.messages(after_s=60) == ["ERROR late"]


def test_a_file_that_is_renamed_and_unlinked_between_two_polls_is_still_read(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    append(log, "ERROR last words", "INFO")
    log.unlink()
    append(log, "ERROR new", "INFO")
    assert bench.messages() == ["ERROR last words", "ERROR new"]


def test_several_rotations_between_two_polls_are_all_read_in_order(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    for number in range(1, 4):
        append(log, f"ERROR {number}", "INFO")
        for old in (2, 1):
            if (path := bench.folder / f"a.log.{old}").exists():
                path.rename(bench.folder / f"a.log.{old + 1}")
        log.rename(bench.folder / "a.log.1")
    append(log, "ERROR 4", "INFO")
    assert bench.messages() == ["ERROR 1", "ERROR 2", "ERROR 3", "ERROR 4"]


def test_older_rotated_files_are_left_alone(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(bench.folder / "a.log.1", "ERROR ancient")
    append(log, "INFO start")
    bench.settled()
    log.rename(bench.folder / "a.log.0")
    append(log, "ERROR new", "INFO")
    assert bench.messages() == ["ERROR new"]


def test_rotation_while_the_agent_is_down_loses_nothing(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "ERROR 1", "INFO")
    bench.settled()
    append(log, "ERROR 2", "INFO")
    log.rename(bench.folder / "a.log.2")
    append(bench.folder / "a.log.1", "ERROR 3", "INFO")
    append(log, "ERROR 4", "INFO")
    bench.restart()
    assert bench.messages() == ["ERROR 2", "ERROR 3", "ERROR 4"]


def test_a_file_that_vanished_while_the_agent_was_down_is_counted_as_lost(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "ERROR 1", "INFO")
    bench.settled()
    bench.reader.close()
    log.unlink()
    append(bench.folder / "keeps_the_inode", "x")
    append(log, "ERROR 2", "INFO")
    bench.start()
    assert bench.messages() == ["ERROR 2"]


def test_truncation_is_noticed_even_when_the_file_has_grown_past_the_old_end(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    os.truncate(log, 0)
    append(log, "ERROR after", "INFO " + "x" * 1000)
    assert bench.messages() == ["ERROR after"]


def test_truncation_is_noticed_when_the_first_kilobytes_repeat(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    header = "INFO " + "h" * 4000
    append(log, header, "INFO one")
    bench.settled()
    os.truncate(log, 0)
    append(log, header, "ERROR after", "INFO " + "x" * 1000)
    assert bench.messages() == ["ERROR after"]


def test_copytruncate_loses_nothing_that_the_copy_holds(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    append(log, "ERROR in the copy", "INFO")
    shutil.copy(log, bench.folder / "a.log.1")
    os.truncate(log, 0)
    append(log, "ERROR after", "INFO")
    assert bench.messages() == ["ERROR in the copy", "ERROR after"]
    assert bench.settled() == []


def test_the_hole_that_copytruncate_leaves_under_a_writer_without_append_is_passed(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    with log.open("w", buffering=1) as file:
        file.write("INFO " + "x" * 100_000 + "\n")
        bench.settled()
        os.truncate(log, 0)
        file.write("ERROR after the hole\nINFO\n")
        assert bench.messages() == ["ERROR after the hole"]


def test_a_reused_inode_is_not_taken_for_the_old_file(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "ERROR old", "INFO " + "y" * 100)
    bench.settled()
    bench.reader.close()
    log.write_text("ERROR new\nINFO " + "x" * 200 + "\n")  # the same inode with other bytes is what reuse looks like
    bench.start()
    assert bench.messages() == ["ERROR new"]


@pytest.mark.parametrize("bench", [{"files": ("{folder}/*",)}], indirect=True)
def test_rotated_and_compressed_names_under_a_wide_pattern_are_not_read_twice(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    append(log, "ERROR 1", "INFO")
    assert bench.messages() == ["ERROR 1"]
    shutil.copy(log, bench.folder / "a.log.2.gz")
    log.rename(bench.folder / "a.log.1")
    append(log, "ERROR 2", "INFO")
    assert bench.settled() == ["ERROR 2"]
    bench.restart()
    assert bench.settled() == []
    assert bench.messages(after_s=1000) == []


def test_a_file_renamed_to_another_followed_name_is_not_read_twice(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    append(log, "ERROR 1", "INFO")
    assert bench.messages() == ["ERROR 1"]
    log.rename(bench.folder / "a-old.log")
    append(bench.folder / "a-old.log", "ERROR 2", "INFO")
    append(log, "ERROR 3", "INFO")
    assert sorted(bench.settled()) == ["ERROR 2", "ERROR 3"]
    assert bench.messages(after_s=1000) == []


def test_a_link_to_a_followed_file_is_not_read_twice(bench: "Bench") -> None:
    (bench.folder / "current.log").symlink_to(bench.folder / "a.log")
    append(bench.folder / "a.log", "INFO start")
    bench.settled()
    append(bench.folder / "a.log", "ERROR 1")
    assert bench.settled() == ["ERROR 1"]


def test_only_complete_lines_are_told(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    with log.open("a", buffering=1) as file:
        file.write("ERROR ha")
        assert bench.messages(after_s=5) == []
        file.write("lf\nINFO\n")
        assert bench.messages(after_s=5) == ["ERROR half"]


def test_an_entry_of_a_file_that_has_been_quiet_is_told_at_once(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "ERROR x")
    os.utime(log, ns=(0, (bench.now_us - 3_000_000) * 1000))
    assert bench.messages() == ["ERROR x"]


def test_an_entry_is_told_once_however_often_it_is_polled(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "ERROR once")
    assert [message for _ in range(20) for message in bench.messages(after_s=1)] == ["ERROR once"]


def test_a_traceback_in_a_real_file_is_one_entry(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "2026-11-24 12:59:00,000 ERROR app: job failed", "Traceback (most recent call last):", '  File "a.py", line 1', "KeyError: 'x'")
    (message,) = bench.settled()
    assert message.split("\n")[:2] == ["KeyError: 'x'", "ERROR app: job failed"]


@pytest.mark.parametrize("bench", [{"severity": Severity.WARNING}], indirect=True)
def test_only_entries_at_or_above_the_severity_leave_the_host(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "DEBUG a", "INFO b", "unmarked", "WARNING c", "ERROR d", "CRITICAL e")
    assert bench.settled() == ["WARNING c", "ERROR d", "CRITICAL e"]


@pytest.mark.parametrize("bench", [{"max_lines_per_minute": 10}], indirect=True)
def test_entries_over_the_rate_are_dropped_and_counted(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, *(f"ERROR {number}" for number in range(25)), "INFO")
    assert len(bench.messages()) == 10
    append(log, *(f"ERROR {number}" for number in range(25)), "INFO")
    assert len(bench.messages(after_s=30)) == 5
    assert (bench.count("dropped_rate_total"), bench.count("entries_sent_total")) == (35, 15)
    assert bench.count("lines_read_total") == 52


@pytest.mark.parametrize("bench", [{"mask": (r"order-\d+",)}], indirect=True)
def test_secrets_are_masked_before_they_leave(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "ERROR login password=hunter2 order-77")
    assert bench.settled() == ["ERROR login password=*** ***"]
    assert bench.count("masked_total") == 2


def test_a_secret_is_masked_before_the_entry_is_cut(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "ERROR " + "x" * 16_340 + " password=" + "hunter2" * 100)
    (message,) = bench.settled()
    assert "hunter2" not in message


def test_a_line_of_ten_megabytes_is_cut_counted_and_does_not_fill_memory(bench: "Bench") -> None:
    import tracemalloc

    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    with log.open("ab") as file:
        file.write(b"ERROR " + b"x" * 10_000_000 + b"\nERROR next\nINFO\n")
    tracemalloc.start()
    told = [message for _ in range(5) for message in bench.messages(after_s=1)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [message[:10] for message in told] == ["ERROR xxxx", "ERROR next"]
    assert "bytes, cut]" in told[0]
    assert len(told[0].encode()) <= 16 * 1024
    assert bench.count("truncated_total") == 1
    assert peak < 4_000_000


def test_nuls_invalid_utf8_and_surrogates_leave_as_valid_text(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    log.write_bytes(b"ERROR a\0b \xff\n" + b'{"level":"error","msg":"\\ud800 \\u0000"}\nINFO\n')
    told = bench.messages()
    assert told[0] == "ERROR a\ufffdb \ufffd"
    for message in told:
        assert "\0" not in message
        message.encode()
    assert bench.count("undecodable_total") == 1


@pytest.fixture
def open_bench(bench: "Bench") -> Iterator["Bench"]:
    """A bench whose folder may be entered by everybody; the test runs as nobody when it was started by root, who reads everything."""
    with tempfile.TemporaryDirectory() as folder:
        bench.folder = Path(folder)
        bench.folder.chmod(0o755)
        bench.start()
        yield bench


@contextmanager
def unprivileged() -> Iterator[None]:
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_an_unreadable_file_is_told_once_counted_and_read_when_it_can_be(open_bench: "Bench", caplog: pytest.LogCaptureFixture) -> None:
    bench = open_bench
    log = bench.folder / "a.log"
    append(log, "ERROR old")
    log.chmod(0)
    with unprivileged():
        assert bench.settled() == []
        assert bench.settled() == []
    assert bench.count("unreadable_files") == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Permission denied" in caplog.text
    log.chmod(0o644)
    append(log, "ERROR new")
    with unprivileged():
        assert bench.settled() == ["ERROR new"]
    assert bench.count("unreadable_files") == 0


def test_a_folder_that_may_not_be_listed_is_told_once(open_bench: "Bench", caplog: pytest.LogCaptureFixture) -> None:
    open_bench.folder.chmod(0o711)
    with unprivileged():
        assert open_bench.settled() == []
        assert open_bench.settled() == []
    assert open_bench.count("unreadable_files") == 1
    assert caplog.text.count("may not be listed") == 1


def test_a_path_that_turns_into_a_folder_is_told_once_and_read_again_when_it_is_a_file(bench: "Bench", caplog: pytest.LogCaptureFixture) -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    log.unlink()
    log.mkdir()
    for _ in range(5):
        assert bench.messages(after_s=1) == []
    assert bench.count("unreadable_files") == 1
    assert len(caplog.records) == 1
    assert f"log source 'app': {log}: cannot be read: " in caplog.text
    log.rmdir()
    append(log, "ERROR back", "INFO")
    assert bench.settled() == ["ERROR back"]
    assert bench.count("unreadable_files") == 0


def test_a_fifo_is_not_waited_for(bench: "Bench") -> None:
    os.mkfifo(bench.folder / "a.log")
    assert bench.settled() == []
    assert bench.count("unreadable_files") == 1


def test_one_busy_file_does_not_keep_the_others_waiting(bench: "Bench") -> None:
    busy, quiet = bench.folder / "a.log", bench.folder / "b.log"
    busy.touch()
    quiet.touch()
    bench.settled()
    append(busy, *(f"ERROR busy {number}" for number in range(1000)))
    append(quiet, "ERROR quiet", "INFO")
    told: list[str] = []
    for _ in range(3):
        chunk = bench.chunk(limit_bytes=100)
        assert chunk.has_more
        told += [str(row[4]) for _, row in chunk.rows]
    assert "ERROR quiet" in told


def test_a_chunk_that_could_not_be_stored_is_read_again(bench: "Bench") -> None:
    log = bench.folder / "a.log"
    log.touch()
    bench.settled()
    append(log, "ERROR 1", "INFO")
    lost = bench.reader.poll(now_us=bench.now_us, limit_bytes=1000)
    assert len(lost.rows) == 1
    bench.reader.restart(bench.stored)
    assert bench.messages() == ["ERROR 1"]


def test_positions_hold_no_text_of_the_log(bench: "Bench") -> None:
    append(bench.folder / "a.log", "ERROR password=hunter2")
    bench.settled()
    assert "hunter2" not in json.dumps(bench.stored)


def test_a_stored_position_that_cannot_be_read_is_told_and_begins_anew(bench: "Bench", caplog: pytest.LogCaptureFixture) -> None:
    log = bench.folder / "a.log"
    append(log, "INFO start")
    bench.settled()
    bench.reader.close()
    bench.start(dict.fromkeys(bench.stored, "{"))
    assert bench.settled() == []
    assert "stored position" in caplog.text


def test_nothing_is_stored_again_when_nothing_has_changed(bench: "Bench") -> None:
    append(bench.folder / "a.log", "INFO start")
    bench.settled()
    bench.now_us += 10_000_000
    assert bench.chunk().positions == {}


def test_what_became_of_the_lines_is_a_measurement(bench: "Bench") -> None:
    sampler: Sampler = LogSourceSampler(bench.reader)
    (row,) = sampler.sample(Instant(bench.now_us, 0.0))
    assert len(row) == len(LOG_SOURCE.columns)
    assert sampler.measurement in MEASUREMENTS
