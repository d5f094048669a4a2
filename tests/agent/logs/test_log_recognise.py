"""Positions that came from elsewhere are taken only if they fit the files as they are now; and files are found again by what they hold."""

import os
import shutil
from pathlib import Path

from agent.logs.conftest import Bench
from watchdesk_agent.logs.recognise import recognised

LONG = "".join(f"ERROR {number} {'x' * 50}\n" for number in range(40))


def read_all(folder: Path, text: str = LONG) -> dict[str, str]:
    """The positions behind all of a log."""
    (folder / "app.log").write_text(text)
    bench = Bench(folder, {"start_at": "beginning"})
    bench.settled()
    bench.reader.close()
    return {key: document for key, document in bench.stored.items() if key.startswith("file ")}


def test_a_position_fits_the_file_that_it_is_of(tmp_path: Path) -> None:
    positions = read_all(tmp_path)
    assert recognised(positions) == positions
    with (tmp_path / "app.log").open("a") as file:
        file.write("ERROR more\n")
    assert recognised(positions) == positions
    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    (tmp_path / "app.log").write_text("ERROR of the next file\n")
    assert recognised(positions) == positions


def test_a_position_fits_no_file_that_was_set_back_or_written_anew(tmp_path: Path) -> None:
    positions = read_all(tmp_path)
    os.truncate(tmp_path / "app.log", len(LONG) - 1)
    assert recognised(positions) == {}
    (tmp_path / "app.log").write_text(LONG[:-5] + "else\n")
    assert recognised(positions) == {}
    (tmp_path / "app.log").unlink()
    assert recognised(positions) == {}


def test_a_position_fits_what_copytruncate_has_copied_away(tmp_path: Path) -> None:
    positions = read_all(tmp_path)
    shutil.copy(tmp_path / "app.log", tmp_path / "app.log.1")
    os.truncate(tmp_path / "app.log", 0)
    assert recognised(positions) == positions


def test_a_position_without_files_fits_as_long_as_there_is_nothing_younger(tmp_path: Path) -> None:
    newest_ns = 1_700_000_000_000_000_000
    positions = {f"file app {tmp_path}/app.log": f'{{"newest_ns":{newest_ns},"files":[]}}'}
    assert recognised(positions) == positions
    (tmp_path / "app.log.1").write_text("ERROR older\n")
    os.utime(tmp_path / "app.log.1", ns=(newest_ns, newest_ns))
    assert recognised(positions) == positions
    os.utime(tmp_path / "app.log.1", ns=(newest_ns + 1, newest_ns + 1))
    assert recognised(positions) == {}


def test_what_is_no_position_in_a_file_fits_and_what_cannot_be_read_does_not(tmp_path: Path) -> None:
    positions = {"seen app /var/log/*.log": "{}", "file": "{}", f"file app {tmp_path}/app.log": "{}", f"file app {tmp_path}/b.log": "not JSON"}
    assert recognised(positions) == {"seen app /var/log/*.log": "{}", "file": "{}"}


def test_a_log_that_was_restored_from_a_backup_is_read_on_under_its_new_inode(tmp_path: Path) -> None:
    positions = read_all(tmp_path)
    shutil.copy2(tmp_path / "app.log", tmp_path / "backup")
    (tmp_path / "backup").rename(tmp_path / "app.log")
    assert recognised(positions) == positions
    with (tmp_path / "app.log").open("a") as file:
        file.write("ERROR after the backup\n")
    bench = Bench(tmp_path, {"start_at": "beginning"}, stored=positions)
    assert bench.settled() == ["ERROR after the backup"]
    assert bench.count("lost_files_total") == 0


def test_a_short_beginning_makes_no_two_files_the_same(tmp_path: Path) -> None:
    """Logs may well begin alike: a new one with the same first line is read from its start."""
    positions = read_all(tmp_path, "ERROR started\n")
    (tmp_path / "next").write_text("ERROR started\n")
    (tmp_path / "next").rename(tmp_path / "app.log")
    bench = Bench(tmp_path, {"start_at": "beginning"}, stored=positions)
    assert bench.settled() == ["ERROR started"]


def test_the_position_of_a_log_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("ERROR one\n")
    bench = Bench(tmp_path, {"start_at": "beginning"})
    bench.settled()
    (tmp_path / "app.log").unlink()
    bench.messages(after_s=10)
    bench.messages(after_s=400)
    bench.messages(after_s=10)
    key = f"file app {tmp_path}/app.log"
    assert bench.stored[key] == ""
    (tmp_path / "app.log").write_text("ERROR two\n")
    assert bench.settled() == ["ERROR two"]
    bench.restart()
    (tmp_path / "app.log").write_text("ERROR two\nERROR three\n")
    assert bench.settled() == ["ERROR three"]
