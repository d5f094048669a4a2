"""What of a write-ahead log cannot be replayed is set aside: kept, told, and out of DuckDB's sight.

Before it: a crash, a power cut or a failing disk. After it: `instance`, which opens the database. Invariant: no byte of a log is dropped unless it is
kept in `set-aside/`, or the disk is full and the log says so; nothing is touched while another process has the database.
"""

import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from watchdesk_collector.history.errors import HistoryFull, HistoryLocked, HistoryUnusable
from watchdesk_collector.history.model import Unreplayed
from watchdesk_collector.history.syncing import sync_folder
from watchdesk_collector.history.wal import walk

FOLDER = "set-aside"
KEPT_FILES = 20
KEPT_BYTES = 256 << 20
RESENT = "agents send again what it held and was not checkpointed"

log = logging.getLogger(__name__)


def logs_of(database: Path) -> list[Path]:
    """The database's write-ahead log, then those that a checkpoint which was under way may have left."""
    return sorted(database.parent.glob(f"{database.name}.wal*"))


def locked(database: Path) -> HistoryLocked:
    return HistoryLocked(f"{database} is in use by another process; stop the collector that runs on it")


def cut_logs(database: Path, aside: Path) -> list[Unreplayed]:
    """Leave of the logs what holds whole transactions, for DuckDB to replay; the rest goes to `aside`. To be called while the database is closed.

    **Errors**: HistoryLocked, HistoryFull, HistoryUnusable.
    """
    with _hold(database):
        found: list[Unreplayed] = []
        for path in logs_of(database):
            without = _needless(path, database, found)
            found += [move(path, aside, without)] if without else _cut(path, aside)
    return found


def _needless(path: Path, database: Path, found: Sequence[Unreplayed]) -> str:
    """Why a log has nothing to be replayed onto; DuckDB would delete it, or, worse, replay it after a later crash."""
    main = database.with_name(f"{database.name}.wal")
    if not database.exists():
        return "its database is missing"
    if path != main and (found or not main.exists() or not main.stat().st_size):
        return "the log that it continues is missing or damaged"
    return ""


def _cut(path: Path, aside: Path) -> list[Unreplayed]:
    try:
        walked = walk(path)
    except OSError as error:
        return [move(path, aside, f"it cannot be read: {error.strerror}")]
    if not walked.flaw:
        return []
    if not walked.sound:
        return [move(path, aside, walked.flaw, is_torn=walked.is_torn)]
    kept_as = _keep(path, walked.sound, aside)
    with _explaining(path):
        _truncate(path, walked.sound)
    cut = Unreplayed(log=path, bytes=walked.lost, kept_as=kept_as, because=walked.flaw, is_torn=walked.is_torn)
    _tell(cut)
    return [cut]


def move(path: Path, aside: Path, because: str, *, is_torn: bool = False) -> Unreplayed:
    """Set a whole log aside. **Errors**: HistoryFull, HistoryUnusable."""
    whole = Unreplayed(log=path, bytes=path.stat().st_size, kept_as=aside / path.name, because=because, is_torn=is_torn)
    with _explaining(path):
        aside.mkdir(parents=True, exist_ok=True)
        path.rename(aside / path.name)
        _sync_folders(aside, aside.parent, path.parent)
    _tell(whole)
    return whole


def put_back(moved: Sequence[Unreplayed]) -> None:
    """Undo `move`."""
    for one in moved:
        if one.kept_as is not None:
            one.kept_as.rename(one.log)
            _sync_folders(one.log.parent, one.kept_as.parent)


def _keep(path: Path, start: int, aside: Path) -> Path | None:
    """Copy a log from there on; None when the disk is too full or too broken for it."""
    target = aside / f"{path.name}.from-{start}"
    try:
        aside.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, target.open("wb") as copy:
            source.seek(start)
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
        _sync_folders(aside, aside.parent)
    except OSError as error:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        log.error("the end of %s cannot be kept as %s: %s", path, target, error.strerror)
        return None
    return target


def _truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def _tell(one: Unreplayed) -> None:
    where = f"kept as {one.kept_as}" if one.kept_as else "dropped"
    if one.is_torn:
        log.info("%s ends within a transaction, as after a crash: its last %d bytes are %s; %s", one.log, one.bytes, where, RESENT)
    else:
        log.error("%s does not replay: %s. Its last %d bytes are %s; %s. Check the disk", one.log, one.because, one.bytes, where, RESENT)


def forget_old(root: Path) -> None:
    """Remove the oldest parts of logs that were set aside below the history folder, beyond what is worth its space. Parquet files stay."""
    parts = sorted((root / FOLDER).glob("*/*.wal*"), key=lambda path: path.parent.name, reverse=True)
    kept_bytes = 0
    for number, path in enumerate(parts):
        kept_bytes += path.stat().st_size
        if number and (number >= KEPT_FILES or kept_bytes > KEPT_BYTES):
            path.unlink()
            log.info("%s is removed: newer parts of write-ahead logs are set aside", path)
            with suppress(OSError):  # something else is in it
                path.parent.rmdir()


@contextmanager
def _hold(database: Path) -> Iterator[None]:
    """Hold the lock that DuckDB takes on its file, so that nobody writes a log while it is walked. **Errors**: HistoryLocked."""
    try:
        file = database.open("r+b")
    except OSError:
        yield  # there is none, or DuckDB will say why not
        return
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise locked(database) from error
        yield


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = HistoryFull if error.errno == errno.ENOSPC else HistoryUnusable
        raise kind(f"{path} does not replay and cannot be set aside: {error.strerror}; make its disk writable and start again") from error


def _sync_folders(*folders: Path) -> None:
    for folder in folders:
        sync_folder(folder)
