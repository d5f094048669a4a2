from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from collector.sql.shelf import Shelf
from watchdesk_collector.clock import SystemClock
from watchdesk_collector.sql.config import SqlConfig
from watchdesk_collector.sql.runner import SqlRunner


@dataclass(frozen=True, kw_only=True)
class Desk:
    shelf: Shelf
    runner: SqlRunner


MakeDesk = Callable[[SqlConfig], Desk]


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[MakeDesk]:
    """A runner over the small history, which lies in a state folder that others may not enter."""
    shelves: list[Shelf] = []

    def make(config: SqlConfig) -> Desk:
        state = tmp_path / "state"
        state.mkdir(mode=0o700)
        (state / "history").mkdir()
        shelf = Shelf(state / "history")
        shelves.append(shelf)
        return Desk(shelf=shelf, runner=SqlRunner(history=shelf, folder=shelf.folder, config=config, clock=SystemClock()))

    yield make
    for shelf in shelves:
        shelf.close()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk(SqlConfig(timeout=20))
