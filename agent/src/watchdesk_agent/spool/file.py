"""The spool's SQLite file: its schema, how it is opened, and what happens to one that cannot be read.

After it: `spool`, which works on the connection. Invariant: whatever lies at the path, opening ends with a sound spool; a corrupted file is set
aside, never deleted, and told.
"""

import logging
import sqlite3
from datetime import datetime
from pathlib import Path

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1


class SpoolError(Exception):
    """The spool cannot be opened; the message names it and the remedy."""


SCHEMA = """
    CREATE TABLE batch (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of spooling; never reused, so that a reader can remember how far it came
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        spooled_us INTEGER NOT NULL,
        is_done INTEGER NOT NULL DEFAULT 0,    -- the collector has stored or rejected it; kept until that is checkpointed
        payload BLOB NOT NULL,
        UNIQUE (epoch, seq)
    );
    CREATE INDEX batch_by_state ON batch (is_done, id);

    CREATE TABLE hole (                        -- seqs that were given up, until the collector has checkpointed that it knows
        epoch INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        reason TEXT NOT NULL
    );

    CREATE TABLE declaration (
        schema_id INTEGER PRIMARY KEY,
        payload BLOB NOT NULL
    );

    CREATE TABLE position (                    -- how far each log is read, as of the newest batch
        source TEXT PRIMARY KEY,
        value TEXT NOT NULL
    );

    CREATE TABLE total (                       -- one row, kept by the triggers
        batches INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    );
    INSERT INTO total VALUES (0, 0);
    CREATE TRIGGER batch_added AFTER INSERT ON batch BEGIN
        UPDATE total SET batches = batches + 1, bytes = bytes + length(new.payload);
    END;
    CREATE TRIGGER batch_removed AFTER DELETE ON batch BEGIN
        UPDATE total SET batches = batches - 1, bytes = bytes - length(old.payload);
    END;

    PRAGMA user_version = 1;
"""

TEMPORARY = """
    CREATE TEMP TABLE durable (epoch INTEGER, first INTEGER, last INTEGER, PRIMARY KEY (epoch, first));
"""


def open_spool_file(path: Path, *, at: datetime) -> sqlite3.Connection:
    """A connection to a sound spool with the schema; it may be used from any thread, by one at a time. `at` names a file that is set aside.

    **Errors**: SpoolError.
    """
    try:
        return _open(path)
    except sqlite3.OperationalError:
        return _open_on_full_disk(path)
    except sqlite3.DatabaseError as error:
        kept = _set_aside(path, at)
        log.error("the spool %s is corrupted (%s): starting a new one; the old one is kept as %s, with what had not been sent", path, error, kept)
        return _open(path)


def _open_on_full_disk(path: Path) -> sqlite3.Connection:
    """An exclusive connection does without the -shm file, which such a disk has no room for."""
    try:
        return _open(path, before="PRAGMA locking_mode = EXCLUSIVE")
    except sqlite3.OperationalError as error:
        raise SpoolError(f"the spool {path} cannot be opened ({error}); make room there, or set the rights of state_dir") from error


def _open(path: Path, *, before: str = "") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=32)
    try:
        connection.execute(before)
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -512")
    connection.execute("PRAGMA temp_store = MEMORY")
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
    elif version != SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"it has format {version}, this agent reads format {SCHEMA_VERSION}")
    connection.execute(TEMPORARY)


def _set_aside(path: Path, at: datetime) -> Path:
    suffix = f".corrupt-{at:%Y%m%dT%H%M%SZ}"
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        if file.exists():
            file.rename(file.with_name(file.name + suffix))
    return path.with_name(path.name + suffix)
