"""The agent's error logs, as one thing to poll.

Before it: the files of the host. After it: the spool, which stores `positions` in the transaction that stores `rows`. Invariant: each line of a
followed file is behind the stored position exactly if its entry is stored, was below the severity, or was counted as dropped; a kill at any point
changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from watchdesk_proto.catalogue import Measurement

from watchdesk_agent.logs.config import LogConfig
from watchdesk_agent.logs.measurements import LOG_SOURCE
from watchdesk_agent.logs.recognise import recognised
from watchdesk_agent.logs.source import Budget, LogSource
from watchdesk_agent.model import Instant, Row, TimedRow

READ_BYTES_PER_POLL = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """Rows of `log` and the positions behind them; `has_more` when the poll stopped at a bound, so that polling again at once brings more.

    Positions without rows are to be stored as well: they hold where reading starts, and what was read and need not be told.
    """

    rows: Sequence[TimedRow]
    positions: Mapping[str, str]
    has_more: bool


class LogReader:
    """Reads all configured sources; `positions` is what the spool holds. Belongs to one thread.

    `poll` goes on from the chunk before. When a chunk could not be stored, `restart` reads again from what is.
    """

    def __init__(self, sources: Sequence[LogConfig], *, positions: Mapping[str, str], zone: tzinfo | None = None) -> None:
        self._configs = tuple(sources)
        self._zone = zone
        self.sources = self._open(positions)

    def poll(self, *, now_us: int, limit_bytes: int) -> LogChunk:
        """What is new in the files: about `limit_bytes` of messages at most, from at most 8 MiB read."""
        budget = Budget(room_bytes=limit_bytes, read_bytes=READ_BYTES_PER_POLL)
        rows: list[TimedRow] = []
        positions: dict[str, str] = {}
        for source in self.sources:
            found, changed = source.poll(now_us=now_us, budget=budget)
            rows += found
            positions |= changed
        self.sources = (*self.sources[1:], *self.sources[:1])
        return LogChunk(rows=rows, positions=positions, has_more=budget.is_spent)

    def recognised(self, positions: Mapping[str, str]) -> dict[str, str]:
        """Those of them that fit the files as they are now."""
        return recognised(positions)

    def restart(self, positions: Mapping[str, str]) -> None:
        """Forget what was read and not stored, and go on from `positions`. Counters start anew, as counters may."""
        self.close()
        self.sources = self._open(positions)

    def close(self) -> None:
        for source in self.sources:
            source.close()

    def _open(self, positions: Mapping[str, str]) -> tuple[LogSource, ...]:
        return tuple(LogSource(config, positions=positions, zone=self._zone) for config in self._configs)


class LogSourceSampler:
    """Tells what became of the lines: one row per source."""

    name = "log_source"
    interval_s = 10.0
    may_block = False

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    @property
    def measurement(self) -> Measurement:
        return LOG_SOURCE

    def sample(self, at: Instant) -> Sequence[Row]:
        return [source.row() for source in self._reader.sources]
