"""One configured source: its files found, read in turn, and their entries made fit to leave the host.

Before it: `reader`. After it: the rows of `log`. Invariant: an entry is masked before it is shortened and shortened before it becomes a row, and
what is not told is counted.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from watchdesk_agent.logs.assemble import Assembled, Reading, assemble
from watchdesk_agent.logs.cap import RateCap
from watchdesk_agent.logs.chain import FileChain
from watchdesk_agent.logs.config import LogConfig, StartAt
from watchdesk_agent.logs.discover import MAX_FILES, find_paths, newest, own_paths, unreadable_folder
from watchdesk_agent.logs.folder import Identity
from watchdesk_agent.logs.follow import FollowedFile, RewrittenError
from watchdesk_agent.logs.join import ENTRY_BYTES, Entry
from watchdesk_agent.logs.mask import Masker
from watchdesk_agent.logs.parse import Moment
from watchdesk_agent.logs.position import Position, load_position
from watchdesk_agent.logs.recognise import file_key
from watchdesk_agent.logs.shorten import shorten
from watchdesk_agent.logs.timestamps import plausible
from watchdesk_agent.model import Row, TimedRow

RESCAN_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Budget:
    """What one poll may still do: bytes of messages to give, bytes of files to read."""

    room_bytes: int
    read_bytes: int

    @property
    def is_spent(self) -> bool:
        """Whether the poll is over, perhaps with more to read."""
        return self.room_bytes <= 0 or self.read_bytes <= 0


@dataclass(slots=True)
class Counts:
    """The counters of `log_source`, since start."""

    lines_read: int = 0
    entries_sent: int = 0
    dropped_rate: int = 0
    truncated: int = 0
    masked: int = 0
    undecodable: int = 0
    lost_files: int = 0


class LogSource:
    """Follows the files of one `[[log]]` table. Not thread-safe; `row` may be called from another thread."""

    def __init__(self, config: LogConfig, *, positions: Mapping[str, str], zone: tzinfo | None) -> None:
        self._config = config
        self._zone = zone
        self._reading = Reading(form=config.format, floor=config.severity)
        self._masker = Masker(config.mask)
        self._cap = RateCap(per_minute=config.max_lines_per_minute)
        self._counts = Counts()
        self._chains: dict[Path, FileChain] = {}
        self._given: dict[str, str] = dict(positions)
        self._scanned_us: int | None = None
        self._told: dict[Path, str] = {}
        self._turn = 0

    def poll(self, *, now_us: int, budget: Budget) -> tuple[list[TimedRow], dict[str, str]]:
        """Rows of `log`, and the positions that changed with them."""
        changed = self._rescan(now_us)
        rows: list[TimedRow] = []
        for chain in self._in_turn():
            chain.look(now_us=now_us, adopt=self._adopt)
            self._tell_trouble(chain.path, chain.trouble)
            for entry in self._read(chain, now_us=now_us, budget=budget):
                rows += self._rows_of(entry, chain.path, now_us)
        changed |= self._changed_positions()
        self._given |= changed
        return rows, changed

    def row(self) -> Row:
        """A row of `log_source`."""
        counts = self._counts
        chains = list(self._chains.values())
        return (
            self._config.name,
            sum(len(chain.files) for chain in chains),
            len(self._told),
            counts.lines_read,
            counts.entries_sent,
            counts.dropped_rate,
            counts.truncated,
            counts.masked,
            counts.undecodable,
            counts.lost_files + sum(chain.lost for chain in chains),
        )

    def close(self) -> None:
        for chain in self._chains.values():
            chain.close()

    # finding files

    def _rescan(self, now_us: int) -> dict[str, str]:
        """Bring the chains up to date with the patterns. A pattern that was never seen before finds old files; later, what it finds is new."""
        if self._scanned_us is not None and 0 <= now_us - self._scanned_us < RESCAN_S * 1e6:
            return {}
        self._scanned_us = now_us
        first_seen: dict[str, str] = {}
        wanted: dict[Path, bool] = {}
        for pattern in self._config.files:
            key = f"seen {self._config.name} {pattern}"
            if key not in self._given:
                first_seen[key] = "{}"
            from_end = key in first_seen and self._config.start_at is StartAt.END
            wanted = dict.fromkeys(find_paths(pattern), from_end) | wanted
            self._tell_folder(pattern)
        return first_seen | self._follow(wanted)

    def _follow(self, wanted: Mapping[Path, bool]) -> dict[str, str]:
        """Returns an empty position for each path that is gone with all that was at it: it is to be forgotten."""
        own = own_paths(list(wanted), known=list(self._chains))
        if len(own) > MAX_FILES:
            self._tell(
                Path(self._config.name), f"its patterns match {len(own)} files; the {MAX_FILES} most recently written are followed: narrow them"
            )
        chosen = newest(own)
        for path in chosen:
            if path not in self._chains:
                self._chains[path] = FileChain(path, position=self._loaded(path), from_end=wanted[path])
        passed = [path for path, chain in self._chains.items() if path not in chosen and (path in own or not chain.files)]
        for path in passed:
            self._chains.pop(path).close()
            self._told.pop(path, None)
        return {key: "" for path in passed if path not in own and self._given.get(key := self._key(path))}

    def _loaded(self, path: Path) -> Position | None:
        document = self._given.get(self._key(path))
        if not document:
            return None
        try:
            return load_position(document)
        except (ValueError, KeyError, TypeError):
            _log.warning(
                "log source %r: the stored position of %s cannot be read; it is followed as if seen for the first time", self._config.name, path
            )
            return None

    def _adopt(self, identity: Identity) -> FollowedFile | None:
        return next((file for chain in self._chains.values() if (file := chain.release(identity))), None)

    def _in_turn(self) -> list[FileChain]:
        """Each poll begins with another chain, so that one busy file does not keep the others waiting."""
        chains = list(self._chains.values())
        self._turn = (self._turn + 1) % max(1, len(chains))
        return chains[self._turn :] + chains[: self._turn]

    # reading them

    def _read(self, chain: FileChain, *, now_us: int, budget: Budget) -> Iterator[Entry]:
        """The new entries of a chain, its older files first; a newer one is not begun before the older is at its end."""
        at = 0
        while at < len(chain.files) and not budget.is_spent:
            file = chain.files[at]
            try:
                yield from self._read_file(file, now_us=now_us, budget=budget)
            except RewrittenError:
                chain.rewritten(file)
                continue
            except OSError as error:
                self._tell_trouble(chain.path, error.strerror or str(error))
            at += 1

    def _read_file(self, file: FollowedFile, *, now_us: int, budget: Budget) -> Iterator[Entry]:
        moment = Moment(now_us, self._zone)
        while not budget.is_spent:
            data = file.block(now_us=now_us)
            found = assemble(
                data,
                inside=file.mark.inside,
                waited_s=file.waited_s(now_us=now_us),
                room_bytes=budget.room_bytes,
                reading=self._reading,
                moment=moment,
            )
            if not found.consumed:
                return
            budget.read_bytes -= len(data)
            budget.room_bytes -= sum(min(entry.bytes, self._config.max_entry + ENTRY_BYTES) for entry in found.entries)
            file.advance(data, found)
            self._count(found)
            yield from found.entries

    def _count(self, found: Assembled) -> None:
        self._counts.lines_read += found.lines
        self._counts.truncated += found.truncated
        self._counts.undecodable += found.undecodable

    def _rows_of(self, entry: Entry, path: Path, now_us: int) -> list[TimedRow]:
        """One row, or none over the rate."""
        if not self._cap.allows(now_us=now_us):
            self._counts.dropped_rate += 1
            return []
        message, secrets = self._masker.mask(_encodable(entry.message))
        message, was_cut = shorten(message, max_bytes=self._config.max_entry)
        self._counts.masked += secrets
        self._counts.truncated += was_cut
        self._counts.entries_sent += 1
        unit = None if entry.unit is None else _encodable(entry.unit)[:200]
        return [(plausible(entry.at_us, now_us=now_us), (self._config.name, str(path), entry.severity.value, unit, message, entry.lines))]

    def _changed_positions(self) -> dict[str, str]:
        documents = {self._key(path): chain.position().dump() for path, chain in self._chains.items()}
        return {key: document for key, document in documents.items() if self._given.get(key) != document}

    def _key(self, path: Path) -> str:
        return file_key(self._config.name, path)

    # telling what is in the way

    def _tell_folder(self, pattern: str) -> None:
        folder = unreadable_folder(pattern)
        if folder is not None:
            self._tell(folder, "the folder may not be listed by the agent's user")
        else:
            self._told.pop(Path(pattern).parent, None)

    def _tell_trouble(self, path: Path, trouble: str | None) -> None:
        if trouble is None:
            self._told.pop(path, None)
        else:
            self._tell(path, f"cannot be read: {trouble}")

    def _tell(self, path: Path, what: str) -> None:
        """Once for each change; it is tried again all the time."""
        if self._told.get(path) != what:
            self._told[path] = what
            _log.warning("log source %r: %s: %s; let the agent's user read it (group adm?) or take it out of `files`", self._config.name, path, what)


def _encodable(text: str) -> str:
    """JSON can spell NULs and lone surrogates, which no UTF-8 text holds."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
