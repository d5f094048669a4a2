"""Every log line is stored once, whatever becomes of agent, connection, collector and state directory.

The agent's parts are the real ones, from the log file to what is said on the stream; time and the collector are not: it is a list of the batches that
it committed, in their order, with a mark behind those that are checkpointed.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from agent.lines_kit import LEVEL, SETTLED_AFTER_S, Held, Life
from fakes import FakeClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from watchdesk_agent.model import Samples


class LinesMachine(RuleBasedStateMachine):
    """Two programs that log, one host, one collector, and whatever may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm", prefix="lines-")
        root = Path(self.folder.name)
        self.state, self.logs, self.copies = root / "state", root / "logs", root / "copies"
        self.logs.mkdir()
        self.copies.mkdir()
        self.clock = FakeClock()
        self.held = Held()
        self.written: list[str] = []
        self.made_copies = 0
        self.life = Life(self.state, self.logs, self.clock)
        for name in ("app", "web"):
            (self.logs / f"{name}.log").touch()
        self.everything_is_there_once()  # nothing yet, but the files were seen once, and the collector holds where they are read from
        self.held.checkpoint()

    def teardown(self) -> None:
        try:
            self.everything_is_there_once()
        finally:
            self.life.kill()
            self.folder.cleanup()

    @rule(name=st.sampled_from(["app", "web"]), count=st.integers(1, 5))
    def write(self, name: str, count: int) -> None:
        with (self.logs / f"{name}.log").open("a") as file:
            for _ in range(count):
                self.written.append(f"error: {len(self.written)} of {name} {'x' * 60}")
                file.write(self.written[-1] + "\n")

    @rule(name=st.sampled_from(["app", "web"]))
    def rotate(self, name: str) -> None:
        for number in range(60, 0, -1):  # none leaves the folder: what is deleted unread is lost to any reader
            if (older := self.logs / f"{name}.log.{number}").exists():
                older.rename(self.logs / f"{name}.log.{number + 1}")
        if (newest := self.logs / f"{name}.log").exists():
            newest.rename(self.logs / f"{name}.log.1")
        newest.touch()

    @rule(passed_s=st.sampled_from([0.0, 10.0, 100.0]))
    def flush(self, passed_s: float) -> None:
        self.clock.advance(passed_s)
        self.life.flush.add(Samples(LEVEL, [(0, (1.0,))]))
        self.life.flush.flush()

    @precondition(lambda self: self.life.conversation is None)
    @rule()
    def connect(self) -> None:
        self.life.connect(self.held)

    @precondition(lambda self: self.life.conversation is not None)
    @rule(rounds=st.integers(1, 8), is_answered=st.booleans(), rejects=st.sampled_from([False, False, False, True]))
    def send(self, rounds: int, is_answered: bool, rejects: bool) -> None:
        self.held.rejects = rejects
        self.life.send(self.held, rounds=rounds, is_answered=is_answered)
        self.held.rejects = False

    @precondition(lambda self: self.life.conversation is not None)
    @rule()
    def checkpoint(self) -> None:
        self.life.checkpoint(self.held)

    @rule()
    def checkpoint_in_silence(self) -> None:
        self.held.checkpoint()

    @rule()
    def lose_write_ahead_log(self) -> None:
        self.life.disconnect()
        self.held.lose_write_ahead_log()

    @rule()
    def restart_agent(self) -> None:
        self.life.kill()
        self.life = Life(self.state, self.logs, self.clock)

    @rule()
    def copy_state(self) -> None:
        self.made_copies += 1
        copy = self.copies / str(self.made_copies)
        copy.mkdir()
        for name in ("agent_id", "spool.db", "spool.db-wal"):
            if (self.state / name).exists():
                shutil.copy2(self.state / name, copy / name)

    @precondition(lambda self: self.made_copies > 0)
    @rule(data=st.data(), way=st.sampled_from(["anew", "in place", "only the spool"]))
    def restore_state(self, data: st.DataObject, way: str) -> None:
        """Possibly over a life that has more to tell than the copy, and possibly one that is more recent than what ran last."""
        copy = self.copies / str(data.draw(st.integers(1, self.made_copies)))
        self.life.kill()
        for file in self.state.iterdir():
            if way == "anew" or file.name.startswith("spool.db-"):
                file.unlink()
        for file in copy.iterdir():
            if way != "only the spool" or file.name != "agent_id":
                shutil.copy2(file, self.state / file.name)
        self.life = Life(self.state, self.logs, self.clock)

    @rule()
    def everything_is_there_once(self) -> None:
        for _ in range(4):
            self.life.disconnect()
            self.life.connect(self.held)
            self.flush(SETTLED_AFTER_S)
            while self.life.send(self.held, rounds=1, is_answered=True):
                pass
        counts = Counter(self.held.lines())
        assert {line for line in self.written if counts[line] == 0} <= self.held.rejected_lines, "lost"
        assert {line: count for line, count in counts.items() if count > 1} == {}, "doubled"


LinesMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_every_line_is_stored_once = LinesMachine.TestCase
