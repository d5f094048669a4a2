"""The one DuckDB instance: opening it whatever its write-ahead log looks like, cursors, transactions, and an orderly end.

Invariant: nothing but DuckDB opens the database file in this process while it is open, for closing any other handle would drop DuckDB's lock on it.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from watchdesk_collector.history import set_aside
from watchdesk_collector.history.config import HistoryConfig
from watchdesk_collector.history.errors import CommitFailed, HistoryFailed, HistoryFull, HistoryUnusable, QueryError
from watchdesk_collector.history.model import Unreplayed

STORAGE_VERSION = "v1.5.0"  # both the pinned release and the next major one read it
WAL_AUTOCHECKPOINT = "1TiB"  # never: the owner checkpoints when there is space for it
MAX_SPILL = "4GiB"
INTERRUPT_EVERY_S = 0.05
QUIET_FOR_S = 1.0

FATAL = (duckdb.FatalException, duckdb.InternalException)


class Instance:
    """An open database. `writer` belongs to the writer thread; anybody may borrow a reader."""

    def __init__(self, root: duckdb.DuckDBPyConnection) -> None:
        self._root = root
        self.writer = root.cursor()
        self.writer.execute("PRAGMA disable_optimizer")  # it has nothing to improve in plain inserts, and takes a fifth of a small commit
        self._readers: list[duckdb.DuckDBPyConnection] = []
        self._change = threading.Condition()
        self._is_closing = False
        self._is_quiet = False

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of one's own. **Errors**: HistoryFailed once closing has begun or when the instance died, QueryError for what DuckDB refuses."""
        with self._change:
            self._change.wait_for(lambda: not self._is_quiet or self._is_closing)
            if self._is_closing:
                raise HistoryFailed("history is closed")
            cursor = self._root.cursor()
            self._readers.append(cursor)
        try:
            yield cursor
        except FATAL as error:
            raise HistoryFailed(f"the history database stopped: {first_line(error)}") from error
        except duckdb.Error as error:
            raise QueryError(str(error)) from error
        finally:
            with suppress(duckdb.Error):
                cursor.close()
            with self._change:
                self._readers = [reader for reader in self._readers if reader is not cursor]
                self._change.notify_all()

    def checkpoint(self) -> bool:
        """Fold the write-ahead log in; False when a long query stood in the way, for the next one to make up for.

        DuckDB refuses as long as a transaction is open that began before the newest CREATE, ALTER or DROP. Then new readers wait until the open
        ones are done, but no longer than a moment: commits wait as well.
        **Errors**: HistoryFailed.
        """
        if _try_checkpoint(self.writer):
            return True
        with self._quiet():
            return _try_checkpoint(self.writer)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        with self._change:
            self._is_quiet = True
            self._change.wait_for(lambda: not self._readers, timeout=QUIET_FOR_S)
        try:
            yield
        finally:
            with self._change:
                self._is_quiet = False
                self._change.notify_all()

    def close(self) -> None:
        """Interrupt readers until the last is gone: DuckDB aborts the process when a query runs at its end. Leaves the write-ahead log as it is."""
        with self._change:
            self._is_closing = True
            while self._readers:
                for reader in self._readers:
                    with suppress(duckdb.Error):
                        reader.interrupt()
                self._change.wait(INTERRUPT_EVERY_S)
        for connection in (self.writer, self._root):
            with suppress(duckdb.Error):
                connection.close()


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing. **Errors**: CommitFailed once rolled back, HistoryFailed when the instance died."""
    try:
        cursor.execute("BEGIN TRANSACTION")
        yield
        cursor.execute("COMMIT")
    except FATAL as error:
        raise HistoryFailed(f"the history database stopped: {first_line(error)}") from error
    except duckdb.Error as error:
        _roll_back(cursor)
        raise CommitFailed(f"history could not be written: {first_line(error)}") from error
    except BaseException:
        _roll_back(cursor)
        raise


@contextmanager
def reading(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """One moment of the database, whatever is written meanwhile."""
    cursor.execute("BEGIN TRANSACTION READ ONLY")
    try:
        yield
    finally:
        _roll_back(cursor)


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # a COMMIT that failed has rolled back already
        cursor.execute("ROLLBACK")


def first_line(error: Exception) -> str:
    """DuckDB adds hints and pointers below its sentence."""
    return str(error).partition("\n")[0]


def open_instance(database: Path, config: HistoryConfig, *, aside: Path) -> tuple[Instance, Sequence[Unreplayed]]:
    """Open or create the database; what of its write-ahead log does not replay is set aside in `aside`, and returned.

    **Errors**: HistoryLocked, HistoryFull, HistoryUnusable.
    """
    cut = set_aside.cut_logs(database, aside)
    try:
        return Instance(_connect(database, config)), cut
    except duckdb.Error as error:
        _explain(database, error)
        cause = first_line(error)
    logs = set_aside.logs_of(database)
    if not logs:
        raise HistoryUnusable(f"{database} cannot be opened: {cause}; restore a backup, or move the file away to begin anew")
    moved = [set_aside.move(path, aside, cause.rpartition('": ')[2]) for path in logs]
    try:
        return Instance(_connect(database, config)), [*cut, *moved]
    except duckdb.Error as error:
        set_aside.put_back(moved)
        raise HistoryUnusable(f"{database} cannot be opened, even without its write-ahead log: {first_line(error)}; restore a backup") from error


def _connect(database: Path, config: HistoryConfig) -> duckdb.DuckDBPyConnection:
    root = duckdb.connect(
        str(database),
        config={
            "storage_compatibility_version": STORAGE_VERSION,
            "memory_limit": f"{config.memory_limit}B",
            "threads": str(config.threads),
            "wal_autocheckpoint": WAL_AUTOCHECKPOINT,
            "temp_directory": str(database.parent / "temporary"),
            "max_temp_directory_size": MAX_SPILL,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    root.execute("SET GLOBAL TimeZone = 'UTC'")
    root.execute("PRAGMA disable_checkpoint_on_shutdown")
    return root


def _explain(database: Path, error: duckdb.Error) -> None:
    """Raise what is no fault of the write-ahead log."""
    message = str(error)
    if "Could not set lock" in message:
        raise set_aside.locked(database) from error
    if os.strerror(28) in message:
        raise HistoryFull(f"no space to open {database}: free some and start again") from error
    if isinstance(error, duckdb.IOException) and ("Cannot open file" in message or "Permission denied" in message):
        raise HistoryUnusable(f"{database} cannot be opened: {first_line(error)}") from error


def _try_checkpoint(cursor: duckdb.DuckDBPyConnection) -> bool:
    try:
        cursor.execute("CHECKPOINT").fetchall()
    except duckdb.TransactionException:
        return False
    except duckdb.Error as error:
        raise HistoryFailed(f"the history database stopped in a checkpoint: {first_line(error)}") from error
    return True
