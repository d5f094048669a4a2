"""The invariant of the whole part: lines and positions that commit together are neither lost nor doubled, whatever is killed or renamed when."""

import random
import sqlite3
from collections import Counter
from datetime import UTC
from pathlib import Path

import pytest
from watchdesk_agent.logs import LogConfig, LogReader

NOW_US = 1_606_222_800_000_000  # before any real file was written


class Spool:
    """Lines and positions in one transaction of a real database; `torn` transactions are those that a kill cuts off."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("CREATE TABLE IF NOT EXISTS line (message TEXT)")
        self._database.execute("CREATE TABLE IF NOT EXISTS position (key TEXT PRIMARY KEY, document TEXT)")

    def positions(self) -> dict[str, str]:
        return dict(self._database.execute("SELECT key, document FROM position").fetchall())

    def append(self, messages: list[str], positions: dict[str, str], *, torn: bool) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO line VALUES (?)", [(message,) for message in messages])
        self._database.executemany("INSERT OR REPLACE INTO position VALUES (?, ?)", list(positions.items()))
        self._database.execute("ROLLBACK" if torn else "COMMIT")

    def messages(self) -> list[str]:
        return [row[0] for row in self._database.execute("SELECT message FROM line")]


class Writer:
    """A program that logs, and a logrotate that renames under it; it may keep the renamed file open for a while."""

    def __init__(self, folder: Path, chance: random.Random, *, style: str) -> None:
        self._path = folder / "app.log"
        self._chance = chance
        self._style = style
        self._file = self._path.open("ab", buffering=0)
        self._rotations = 0
        self._number = 0
        self.written: list[str] = []

    def write(self) -> None:
        for _ in range(self._chance.randrange(1, 30)):
            self._number += 1
            kind = self._chance.random()
            if kind < 0.5:
                self._file.write(f"INFO nothing to tell {self._number}\n".encode())
            elif kind < 0.6:
                self._traceback()
            else:
                self._line(f"ERROR number {self._number} {'x' * self._chance.randrange(1, 200)}")

    def _line(self, text: str) -> None:
        """At times in two writes, with anything in between."""
        data = text.encode() + b"\n"
        cut = self._chance.randrange(len(data)) if self._chance.random() < 0.1 else 0
        self._file.write(data[:cut])
        self._file.write(data[cut:])
        self.written.append(text)

    def _traceback(self) -> None:
        lines = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', f"ValueError: {self._number}"]
        self._file.write("".join(line + "\n" for line in ["INFO about to fail", *lines]).encode())
        self.written.append("\n".join([lines[-1], *lines[:-1]]))

    def rotate(self) -> None:
        self._rotations += 1
        if self._style == "number":
            for number in range(19, 0, -1):
                if (old := self._path.with_name(f"app.log.{number}")).exists():
                    old.rename(self._path.with_name(f"app.log.{number + 1}"))
        suffix = ".1" if self._style == "number" else f"-20261124-{self._rotations:06}"
        self._path.rename(self._path.with_name("app.log" + suffix))

    def reopen(self) -> None:
        self._file.close()
        self._file = self._path.open("ab", buffering=0)


@pytest.mark.parametrize("style", ["number", "date"])
@pytest.mark.parametrize("seed", range(8))
def test_no_line_is_lost_or_doubled_under_kills_and_rename_rotation(tmp_path: Path, seed: int, style: str) -> None:
    chance = random.Random(seed)
    logs = tmp_path / "logs"
    logs.mkdir()
    writer = Writer(logs, chance, style=style)
    spool = Spool(tmp_path / "spool.db")
    config = LogConfig(name="app", files=(f"{logs}/app.log",), max_lines_per_minute=10**9)
    reader = LogReader([config], positions={}, zone=UTC)
    spool.append([], dict(reader.poll(now_us=NOW_US, limit_bytes=1000).positions), torn=False)
    kills = 0
    for step in range(300):
        action = chance.random()
        if action < 0.45:
            writer.write()
        elif action < 0.55:
            writer.rotate()
            if chance.random() < 0.3:
                writer.write()  # into the renamed file
            writer.reopen()
        if chance.random() < 0.7:
            chunk = reader.poll(now_us=NOW_US + step * 1_000_000, limit_bytes=chance.choice([100, 3000, 10**6]))
            is_killed = chance.random() < 0.2
            spool.append([str(row[4]) for _, row in chunk.rows], dict(chunk.positions), torn=is_killed and chance.random() < 0.7)
            if is_killed:
                kills += 1
                reader.close()
                reader = LogReader([config], positions=spool.positions(), zone=UTC)
    for step in range(300, 400):
        chunk = reader.poll(now_us=NOW_US + step * 1_000_000, limit_bytes=10**6)
        spool.append([str(row[4]) for _, row in chunk.rows], dict(chunk.positions), torn=False)
    reader.close()
    assert kills > 10
    told = Counter(spool.messages())
    wanted = Counter(writer.written)
    assert (wanted - told, told - wanted) == (Counter(), Counter())  # lost, doubled
