"""Disk space: asked before anything is touched, for DuckDB survives a full disk in a commit, but not in a checkpoint."""

import os
from dataclasses import dataclass
from pathlib import Path

from watchdesk_collector.history.errors import HistoryFull
from watchdesk_collector.history.set_aside import logs_of

CHECKPOINT_RESERVE = 16 << 20  # a row group, headers and what else a checkpoint may add to what the log holds
DATABASE = "hot.duckdb"


@dataclass(frozen=True, slots=True)
class Space:
    """The disk that a history folder is on."""

    root: Path
    floor: int

    @property
    def database(self) -> Path:
        return self.root / DATABASE

    def free_bytes(self) -> int:
        disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize

    def hot_bytes(self) -> int:
        """Size of the database with its write-ahead log; asked of the folder, never by opening them."""
        return sum(path.stat().st_size for path in (self.database, *logs_of(self.database)) if path.exists())

    def require_floor(self) -> None:
        """**Errors**: HistoryFull when less than the floor is free."""
        self._require(self.floor, "history.free_space_floor")

    def require_for_checkpoint(self) -> None:
        """**Errors**: HistoryFull when a checkpoint might not fit. It writes about what the write-ahead log holds."""
        logs = sum(path.stat().st_size for path in logs_of(self.database))
        self._require(logs + CHECKPOINT_RESERVE, "what a checkpoint may need")

    def _require(self, needed: int, what: str) -> None:
        free = self.free_bytes()
        if free < needed:
            mib = 1 << 20
            raise HistoryFull(f"{self.root} has {free // mib} MiB free, less than the {needed // mib} MiB of {what}: free some space on its disk")
