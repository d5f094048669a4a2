"""Faults of state directories: one that is there twice, and one that is older than what has happened since."""

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from watchdesk_collector.cli.selftest import configs
from watchdesk_collector.cli.selftest.arena import Arena
from watchdesk_collector.cli.selftest.kinds.processes import MOMENT_S
from watchdesk_collector.cli.selftest.seats import AgentSeat, Seat, agent_command

BESIDE_S = (1.0, 2.0)
SINCE_S = (0.3, 1.5)


@dataclass(frozen=True, slots=True)
class ClonedIdentity:
    """A copy of an agent runs beside the original, as after a machine was cloned; what the original has measured must all arrive."""

    name: str = "cloned_identity"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        agent, moment_s, beside_s, dies = rng.choice(arena.agents), rng.uniform(0, MOMENT_S), rng.uniform(*BESIDE_S), rng.random() < 0.5
        name = f"copy-{rng.getrandbits(40):x}"
        folder = arena.directory / name
        arena.pause(moment_s)
        with copied(agent, folder / "state") as state_dir:
            inherited = unsent_batches(state_dir)
            copy = _seat(arena, agent, state_dir, name)
            copy.start()
            try:
                arena.pause(beside_s)
            finally:
                (copy.kill if dies else copy.stop)()
            arena.throw_away(agent, unsent_batches(state_dir) - inherited, why="unsent in a copy that was thrown away")


@dataclass(frozen=True, slots=True)
class RestoredState:
    """An agent's state directory is set back to an earlier copy, as from a backup; no log line is lost or told twice for it."""

    name: str = "restored_state"

    def obstacle(self) -> None:
        return None

    def inject(self, arena: Arena, rng: random.Random) -> None:
        agent, moment_s, since_s, dies = rng.choice(arena.agents), rng.uniform(0, MOMENT_S), rng.uniform(*SINCE_S), rng.random() < 0.5
        arena.pause(moment_s)
        with copied(agent, agent.folder / "older") as older:
            arena.pause(since_s)
            (agent.kill if dies else agent.stop)()
            unsent = unsent_batches(agent.state_dir) - unsent_batches(older)
            arena.throw_away(agent, unsent, why="unsent when an older state was restored over it")
            _restore(older, agent.state_dir)
        agent.start()


@contextmanager
def copied(agent: AgentSeat, to: Path) -> Iterator[Path]:
    """A copy of a state directory as it is at one moment, until the end."""
    agent.freeze()
    try:
        shutil.copytree(agent.state_dir, to)
    finally:
        agent.thaw()
    try:
        yield to
    finally:
        shutil.rmtree(to)


def unsent_batches(state_dir: Path) -> set[tuple[int, int]]:
    """(epoch, seq) of the batches that wait in a spool that no agent uses. Read from a copy, so that nothing is folded in or made there."""
    with tempfile.TemporaryDirectory() as folder:
        for file in state_dir.glob("spool.db*"):
            shutil.copyfile(file, Path(folder) / file.name)
        with closing(sqlite3.connect(Path(folder) / "spool.db")) as spool:
            return set(spool.execute("SELECT epoch, seq FROM batch WHERE is_done = 0"))


def _restore(older: Path, state_dir: Path) -> None:
    """File by file: the directory itself may be a disk of its own."""
    for file in state_dir.iterdir():
        file.unlink()
    shutil.copytree(older, state_dir, dirs_exist_ok=True)


def _seat(arena: Arena, agent: AgentSeat, state_dir: Path, name: str) -> Seat:
    folder = state_dir.parent
    config = folder / "agent.toml"
    config.write_text(configs.copied_agent(agent, state_dir, arena.collector, arena.tls, probe=name), encoding="utf-8")
    ledger = arena.ledger_for(agent.host, name)
    return Seat(name=name, command=agent_command(config=config, ledger=ledger, clock=folder / "clock"), log=folder / "agent.log")
