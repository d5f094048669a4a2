"""A state directory that was restored from an old copy, in the ways that happen, and what is told of it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent.lines_kit import LEVEL, SETTLED_AFTER_S, Held, Life
from fakes import FakeClock
from watchdesk_agent.log_tail import HELD_AT_MOST_S
from watchdesk_agent.model import Samples
from watchdesk_agent.spool import SpoolError


class Host:
    """One host with a log, whose agent can be stopped, copied, set back and started."""

    def __init__(self, folder: Path) -> None:
        self.state, self.copy, self.logs = folder / "state", folder / "copy", folder / "logs"
        self.logs.mkdir()
        self.log = self.logs / "app.log"
        self.log.touch()
        self.clock = FakeClock()
        self.held = Held()
        self.life = Life(self.state, self.logs, self.clock)

    def write(self, *messages: str) -> None:
        with self.log.open("a") as file:
            file.writelines(f"error: {message}\n" for message in messages)

    def flush(self, after_s: float = SETTLED_AFTER_S) -> None:
        self.clock.advance(after_s)
        self.life.flush.add(Samples(LEVEL, [(0, (1.0,))]))
        self.life.flush.flush()

    def send_all(self) -> None:
        """What is in the log now is at the collector when this returns."""
        if self.life.conversation is None:
            self.life.connect(self.held)
        for _ in range(2):
            self.flush()
            while self.life.send(self.held, rounds=1, is_answered=True):
                pass

    def tell(self, *messages: str) -> None:
        self.write(*messages)
        self.send_all()

    def make_copy(self) -> None:
        self.life.kill()
        shutil.copytree(self.state, self.copy)
        self.start()

    def restore(self) -> None:
        self.life.kill()
        shutil.rmtree(self.state)
        shutil.copytree(self.copy, self.state)
        self.start()

    def restart(self) -> None:
        self.life.kill()
        self.start()

    def start(self) -> None:
        self.life = Life(self.state, self.logs, self.clock)

    def stored(self) -> list[str]:
        return [line.removeprefix("error: ") for line in self.held.lines()]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    host.send_all()
    yield host
    host.life.kill()


def test_a_restored_copy_reads_on_where_the_collector_stands(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.tell("before the copy")
    host.make_copy()
    host.tell("after the copy")
    host.restore()
    host.write("while it was down")
    host.send_all()
    assert host.stored() == ["before the copy", "after the copy", "while it was down"]
    told = [record.message for record in caplog.records if "log" in record.message]
    assert [sentence.partition(":")[0] for sentence in told] == [
        "the state directory was copied or restored",
        "the log lines that the collector holds do not end where this agent's do, for the state directory is an old copy, or the collector lost some",
    ]


def test_a_restored_copy_reads_no_log_before_the_collector_was_asked_and_samples_go_on(host: Host) -> None:
    host.tell("before the copy")
    host.make_copy()
    host.tell("after the copy")
    host.restore()
    host.write("while it was down")
    assert host.life.tail.is_held
    batches = host.life.spool.stats().batches
    host.flush()
    assert host.life.spool.stats().batches == batches + 1, "of samples alone"
    host.restart()
    assert host.life.tail.is_held, "a restart does not make it forget"
    host.send_all()
    assert not host.life.tail.is_held
    host.restart()
    assert not host.life.tail.is_held
    assert host.stored() == ["before the copy", "after the copy", "while it was down"]


@pytest.mark.parametrize("command", ["cp -a {0}/. {1}", "cp -a {0}/spool.db {1}/", "tar -C {0} -cf - . | tar -C {1} -xf -"])
def test_a_copy_that_is_put_back_over_the_files_is_one_as_well(host: Host, command: str) -> None:
    host.make_copy()
    host.tell("after the copy")
    host.life.kill()
    for rest in host.state.glob("spool.db-*"):
        rest.unlink()
    subprocess.run(command.format(host.copy, host.state), shell=True, check=True)
    host.start()
    host.write("while it was down")
    host.flush()  # only the spool was put back: nothing tells before the collector does, and what was read by then is given up
    host.send_all()
    assert host.stored() == ["after the copy", "while it was down"]


@pytest.mark.parametrize("connects", [False, True])
def test_a_restart_and_a_moved_directory_hold_nothing(host: Host, connects: bool, caplog: pytest.LogCaptureFixture) -> None:
    host.tell("one")
    host.life.kill()
    moved = host.state.rename(host.state.with_name("moved"))
    host.state = moved
    host.start()
    assert not host.life.tail.is_held
    host.write("two")
    host.flush()
    host.flush()
    if connects:
        host.send_all()
    host.restart()
    host.send_all()
    assert host.stored() == ["one", "two"]
    assert not [record for record in caplog.records if "cop" in record.message]


def test_a_copy_that_missed_nothing_is_told_so(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    host.tell("one")
    host.make_copy()
    host.restore()
    host.tell("two")
    assert host.stored() == ["one", "two"]
    assert "logs are read on: the collector holds no later lines than this copy" in caplog.text


def test_logs_are_not_held_for_ever_while_the_collector_is_away(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.make_copy()
    host.restore()
    host.write("one")
    host.flush(after_s=HELD_AT_MOST_S - 1)
    assert host.life.tail.is_held
    host.flush(after_s=2)
    assert not host.life.tail.is_held
    assert "the collector has not been reached for 60 minutes" in caplog.text
    host.send_all()
    assert host.stored() == ["one"]


def test_lines_that_two_lives_of_one_state_both_read_are_told_once(host: Host) -> None:
    """A backup is put in, runs, and is then replaced by the original, which had more to tell."""
    host.make_copy()
    host.write("one", "two")
    host.flush()
    host.flush()
    original = host.state.rename(host.state.with_name("original"))
    host.life.kill()
    shutil.copytree(host.copy, host.state)
    host.start()
    host.tell()
    host.tell("three")
    host.life.kill()
    shutil.rmtree(host.state)
    original.rename(host.state)
    host.start()
    host.tell("four")
    assert host.stored() == ["one", "two", "three", "four"]


def test_logs_that_were_set_back_with_the_state_lose_nothing(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """As with a snapshot of a whole machine: the collector's position is of a file that is not there any more."""
    host.tell("before the snapshot " + "x" * 200)
    host.make_copy()
    size = host.log.stat().st_size
    host.tell("of a future that did not come " + "y" * 200)
    host.life.kill()
    with host.log.open("r+") as file:
        file.truncate(size)
    host.restore()
    host.tell("after the snapshot " + "z" * 300)
    assert [line.split(" ")[0] + line[-1] for line in host.stored()] == ["beforex", "ofy", "afterz"]
    assert "1 of" not in caplog.text


def test_a_whole_machine_from_a_backup_reads_its_copied_logs_on(host: Host) -> None:
    """All files are new ones with the same content."""
    host.tell(*(f"{number} {'x' * 100}" for number in range(20)))
    host.make_copy()
    host.tell("after the copy")
    host.life.kill()
    backup = host.log.with_name("backup")
    shutil.copy2(host.log, backup)
    backup.rename(host.log)
    host.restore()
    host.tell("after the backup")
    assert host.stored()[20:] == ["after the copy", "after the backup"]
    assert len(host.stored()) == 22


def test_a_lost_spool_costs_no_line_and_doubles_none(host: Host) -> None:
    host.tell("one")
    host.write("two")
    host.life.kill()
    (host.state / "spool.db").write_bytes(b"garbage" * 1000)
    (host.state / "spool.db-wal").unlink(missing_ok=True)
    host.start()
    host.tell("three")
    assert host.stored() == ["one", "two", "three"]


def test_a_collector_that_was_set_back_gets_the_lines_again_that_it_lost(host: Host) -> None:
    """Even those that the agent does not keep any more, for the collector had checkpointed them: they are in the log."""
    host.tell("one")
    older = host.held.copy()
    host.tell("two")
    assert host.life.conversation is not None
    host.life.checkpoint(host.held)
    host.life.disconnect()
    host.held = older
    host.tell("three")
    assert host.stored() == ["one", "two", "three"]


def test_a_rejected_batch_does_not_make_a_copy_of_an_original(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    host.tell("one")
    host.write("two")
    host.flush()
    host.flush()
    (rejected,) = list(host.life.spool.unsent_ordered())
    host.life.spool.reject(rejected.epoch, rejected.seq, "for a reason")
    host.life.disconnect()
    host.held.reject(rejected.epoch, rejected.seq)
    host.tell("three")
    assert host.stored() == ["one", "three"]
    assert "old copy" not in caplog.text


def test_nothing_is_taken_over_that_cannot_be_kept(host: Host) -> None:
    host.make_copy()
    host.tell("one")
    host.restore()
    theirs = host.held.positions()
    assert theirs is not None
    host.life.spool._connection.execute("PRAGMA query_only = ON")  # as a disk that has become read-only
    with pytest.raises(SpoolError, match="make room in state_dir"):
        host.life.flush.compare(theirs)
    assert host.life.tail.is_held
    host.life.spool._connection.execute("PRAGMA query_only = OFF")
    host.tell("two")
    assert host.stored() == ["one", "two"]
