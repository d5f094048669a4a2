"""Spools in a temporary folder, on a clock that stands still."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from fakes import FakeClock
from watchdesk_agent.spool import Spool, SpoolConfig

OpenSpool: TypeAlias = Callable[..., Spool]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def open_spool(tmp_path: Path, clock: FakeClock) -> Iterator[OpenSpool]:
    """Opens the spool of this test, each time in another epoch."""
    opened: list[Spool] = []

    def open_(*, max_bytes: int = 1_000_000, folder: Path = tmp_path) -> Spool:
        opened.append(Spool(folder / "spool.db", config=SpoolConfig(max_bytes=max_bytes), epoch=len(opened) + 1, clock=clock))
        return opened[-1]

    yield open_
    for spool in opened:
        spool.close()
