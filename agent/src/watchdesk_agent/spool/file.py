"""The spool's SQLite file: its schema, how it is opened, and what happens to one that cannot be read.

After it: `spool`, which works on the connection. Invariant: whatever lies at the path, opening ends with a sound spool; a corrupted file is set
aside, never deleted, and told.
"""

import logging
import sqlite3
from datetime import datetime
from pathlib import Path

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2


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
        contents TEXT NOT NULL DEFAULT '[]',   -- the slots that it accounts for
        is_ordered INTEGER NOT NULL DEFAULT 0, -- it holds log lines and positions: the collector stores those in the order of spooling
        follows_epoch INTEGER,                 -- the ordered batch before it that held positions, and is not given up; 0 when there was none
        follows_seq INTEGER,
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
        value TEXT NOT NULL,                   -- empty: forgotten, and the collector is yet to be told
        is_told INTEGER NOT NULL DEFAULT 0     -- it is as in the newest ordered batch
    );

    CREATE TABLE home (                        -- one row: the marker that lay beside this file, by which a copy is known
        marker TEXT NOT NULL
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
"""

ORDER = """
    CREATE TABLE head (                        -- one row: the newest ordered batch that held positions, and is not given up; 0 when there was none
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL
    );
    INSERT INTO head VALUES (0, 0);
    CREATE INDEX batch_unsent ON batch (is_ordered, id) WHERE is_done = 0;
    CREATE INDEX batch_follows ON batch (follows_epoch, follows_seq) WHERE is_ordered;
    CREATE TRIGGER batch_given_up AFTER DELETE ON batch WHEN old.is_ordered AND NOT old.is_done BEGIN
        UPDATE batch SET follows_epoch = old.follows_epoch, follows_seq = old.follows_seq
        WHERE is_ordered AND follows_epoch = old.epoch AND follows_seq = old.seq;
        UPDATE head SET epoch = old.follows_epoch, seq = old.follows_seq WHERE epoch = old.epoch AND seq = old.seq;
    END;
"""

ACCOUNTS = """
    CREATE TABLE covered (                     -- how far each sampler's slots are accounted for, as of the newest batch
        sampler TEXT PRIMARY KEY,
        interval_us INTEGER NOT NULL,
        since_us INTEGER NOT NULL,             -- the first slot at this interval
        until_us INTEGER NOT NULL,
        is_proven INTEGER NOT NULL             -- it has told something
    );

    CREATE TABLE lost (                        -- slots that no batch will bring, until a batch tells so
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sampler TEXT NOT NULL,
        first_us INTEGER NOT NULL,
        slots INTEGER NOT NULL,
        interval_us INTEGER NOT NULL,
        cause TEXT NOT NULL,
        reason TEXT
    );

    CREATE TABLE dropped (                     -- batches that are in a hole now, and may have reached the collector before
        epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        reason TEXT NOT NULL,
        contents TEXT NOT NULL
    );

    CREATE TABLE boot (                        -- one row: which boot of the host the last run of the agent saw
        boot_id TEXT NOT NULL
    );

    PRAGMA user_version = 2;
"""

UPGRADE_FROM_1 = """
    ALTER TABLE batch ADD COLUMN contents TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE batch ADD COLUMN is_ordered INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE batch ADD COLUMN follows_epoch INTEGER;
    ALTER TABLE batch ADD COLUMN follows_seq INTEGER;
    ALTER TABLE position ADD COLUMN is_told INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE home (marker TEXT NOT NULL);
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
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {ORDER} {ACCOUNTS} COMMIT;")
    elif version == 1:
        connection.executescript(f"BEGIN IMMEDIATE; {UPGRADE_FROM_1} {ORDER} {ACCOUNTS} COMMIT;")
    elif version != SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"it has format {version}, this agent reads format {SCHEMA_VERSION}")
    connection.execute(TEMPORARY)


def _set_aside(path: Path, at: datetime) -> Path:
    suffix = f".corrupt-{at:%Y%m%dT%H%M%SZ}"
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        if file.exists():
            file.rename(file.with_name(file.name + suffix))
    return path.with_name(path.name + suffix)
