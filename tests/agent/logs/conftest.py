"""A folder of logs, and a reader over it whose clock is a number."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from watchdesk_agent.logs import LogChunk, LogConfig, LogReader

NOW_US = 1_606_222_800_000_000  # 2020-11-24 13:00:00 UTC: before any real file was written, so that only this clock makes things old


@dataclass
class Bench:
    """Polls a reader as the agent does and keeps what a spool would."""

    folder: Path
    settings: dict[str, Any]
    now_us: int = NOW_US
    stored: dict[str, str] = field(default_factory=dict)
    reader: LogReader = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self, positions: Mapping[str, str] | None = None) -> None:
        given = {"name": "app", "files": ("{folder}/*.log",), "max_lines_per_minute": 10**9, **self.settings}
        config = LogConfig(**{**given, "files": tuple(pattern.format(folder=self.folder) for pattern in given["files"])})
        self.reader = LogReader([config], positions=self.stored if positions is None else positions, zone=UTC)

    def restart(self) -> None:
        """As after kill -9: only what was stored is known."""
        self.reader.close()
        self.start()

    def chunk(self, *, limit_bytes: int = 10**7) -> LogChunk:
        chunk = self.reader.poll(now_us=self.now_us, limit_bytes=limit_bytes)
        self.stored.update(chunk.positions)
        return chunk

    def messages(self, *, after_s: float = 0.0) -> list[str]:
        """The messages of one poll, `after_s` later."""
        self.now_us += round(after_s * 1e6)
        return [str(row[4]) for _, row in self.chunk().rows]

    def settled(self) -> list[str]:
        """The messages of two polls, far enough apart for the last entry to stop waiting."""
        return self.messages(after_s=10) + self.messages(after_s=10)

    def count(self, column: str) -> int:
        from watchdesk_agent.logs import LOG_SOURCE

        index = [c.name for c in LOG_SOURCE.columns].index(column)
        value = self.reader.sources[0].row()[index]
        assert isinstance(value, int)
        return value


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """`@pytest.mark.parametrize("bench", [{…}], indirect=True)` sets keys of the source."""
    bench = Bench(tmp_path, getattr(request, "param", {}))
    yield bench
    bench.reader.close()
