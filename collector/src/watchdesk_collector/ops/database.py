"""Opens ops.db: migrates it, and sets what each connection to it needs.

Every commit is durable when it returns (WAL, synchronous=FULL). `engine.begin()` and `engine.connect()` are for single writes and for reads;
`writing` is for transactions that read before they write, which SQLite refuses halfway when they did not ask for the write lock at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

BUSY_TIMEOUT_MS = 10_000
MIGRATIONS = Path(__file__).parent / "migrations"


def open_ops(path: Path) -> sa.Engine:
    """The engine of the database at `path`, created or migrated to this version's tables; usable from any thread."""
    engine = sa.create_engine(f"sqlite:///{path}")
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    migrate(engine)
    return engine


def migrate(engine: sa.Engine) -> None:
    """Apply what is missing of the migrations, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that holds the write lock from its start; commits at the end, rolls back on an exception."""
    with engine.connect().execution_options(holds_write_lock=True) as connection, connection.begin():
        yield connection


def _set_up(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # the driver begins nothing by itself: `_begin` does
    cursor = dbapi_connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    lock = "IMMEDIATE" if connection.get_execution_options().get("holds_write_lock") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {lock}")
