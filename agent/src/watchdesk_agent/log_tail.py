"""Log lines on their way to the spool, and where reading goes on: after this agent's own batches, or where the collector says it stands.

Before it: `logs`, which reads. After it: `flush`, which spools what this hands out. Invariant: lines leave in ordered batches (see `spool.order`),
with the positions behind them, so the collector's positions and its lines are never apart.

A state directory that was restored from an old copy is noticed twice. Its marker is not the one that the spool remembers, since no copy keeps a
file's change time: then no log is read until the collector has been asked, for at most `HELD_AT_MOST_S`. And the collector's positions came with a
batch that this spool never held: then lines that this agent read and has not sent are given up, and all is read again from there (docs/adr/008).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.logs.measurements import LOG
from watchdesk_agent.model import Samples, TimedRow
from watchdesk_agent.spool import Spool, TheirPositions
from watchdesk_agent.wire import Encoded, encode_ordered, position_keys

log = logging.getLogger(__name__)

MAX_LOG_BYTES = 512 * 1024
HELD_AT_MOST_S = 3600.0  # after that a line told twice is the smaller evil: logs are rotated away some day


class LogChunk(Protocol):
    """What logs had to say, and how far they are read once that is kept."""

    @property
    def rows(self) -> Sequence[TimedRow]: ...

    @property
    def positions(self) -> Mapping[str, str]: ...

    @property
    def has_more(self) -> bool: ...


class LogReader(Protocol):
    """Reads on from where it stopped, or from the positions it is given when what it read could not be kept."""

    def poll(self, *, now_us: int, limit_bytes: int) -> LogChunk: ...

    def recognised(self, positions: Mapping[str, str]) -> Mapping[str, str]: ...

    def restart(self, positions: Mapping[str, str]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What one look at the logs brought. Positions may come without batches: all that was read was below the severity."""

    batches: Sequence[Encoded] = ()
    positions: Mapping[str, str]
    rows: int = 0
    has_more: bool = False


NOTHING = Lines(positions={})


class LogTail:
    """Not thread-safe: its owner sees to it that lines are spooled before anything else is asked. `marker`: see `state.read_marker`."""

    def __init__(self, reader: LogReader, *, spool: Spool, clock: Clock, marker: str) -> None:
        self._reader = reader
        self._spool = spool
        self._clock = clock
        self._marker = marker
        self._known = set(spool.positions())
        self._held_until_s: float | None = None
        self._look_around()

    @property
    def is_held(self) -> bool:
        """Whether logs are not read, because the state is a copy and the collector has not been asked yet."""
        return self._held_until_s is not None

    def read(self, *, max_bytes: int) -> Lines:
        """What is new, in batches of at most `max_bytes`; they are to be spooled, in their order, before this is called again."""
        if self._held_until_s is not None and self._clock.monotonic_s() >= self._held_until_s:
            log.warning("the collector has not been reached for %.0f minutes: logs are read on, and lines may be told twice", HELD_AT_MOST_S / 60)
            self._settle()
        if self.is_held:
            return NOTHING
        chunk = self._reader.poll(now_us=to_us(self._clock.now()), limit_bytes=min(MAX_LOG_BYTES, max_bytes // 2))
        batches: Sequence[Encoded] = ()
        if chunk.rows or not self._known.issuperset(chunk.positions):
            untold = {**self._spool.untold_positions(), **chunk.positions}
            batches = encode_ordered(Samples(LOG, chunk.rows), untold, max_bytes=max_bytes)
        return Lines(batches=batches, positions=chunk.positions, rows=len(chunk.rows), has_more=chunk.has_more)

    def note(self, lines: Lines, *, is_kept: bool) -> None:
        """They are in the spool, or could not be kept and are to be read again."""
        if is_kept:
            self._known.update(lines.positions)
        elif lines.positions:
            self._restart()

    def _restart(self) -> None:
        positions = self._spool.positions()
        self._known = set(positions)
        self._reader.restart(positions)

    def compare(self, theirs: TheirPositions | None) -> None:
        """The collector has said which positions it holds, if any. **Errors**: SpoolError when the disk is full; nothing has changed then."""
        if theirs is not None and not self._spool.fits(theirs):
            self._adopt(theirs)
        elif self.is_held:
            log.info("logs are read on: the collector holds no later lines than this copy of the state")
        self._settle()

    def _adopt(self, theirs: TheirPositions) -> None:
        """Positions that fit replace those of this copy. Its own unsent lines are given up if all that they were read from is read again."""
        fit = self._reader.recognised(theirs.values)
        unsent = {key for batch in self._spool.unsent_ordered() for key in position_keys(batch.payload)}
        gives_up = unsent <= fit.keys()
        adopted = fit if gives_up else {key: position for key, position in fit.items() if key not in unsent}
        self._spool.adopt(theirs, positions=adopted, gives_up=gives_up)
        self._restart()
        log.warning(
            "the log lines that the collector holds do not end where this agent's do, for the state directory is an old copy, or the collector lost "
            "some: %d of %d logs are read on from where the collector stands, the others, which are other files now, from where this agent stands",
            len(adopted),
            len(theirs.values),
        )

    def _look_around(self) -> None:
        home = self._spool.home()
        if home is None or home == self._marker:
            self._settle()
            return
        log.warning("the state directory was copied or restored: logs are not read until the collector has been asked which lines it holds")
        self._held_until_s = self._clock.monotonic_s() + HELD_AT_MOST_S

    def _settle(self) -> None:
        self._held_until_s = None
        if self._spool.home() != self._marker:
            self._spool.settle(self._marker)
