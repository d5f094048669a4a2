"""ops.db is what `ops/schema.py` says, however it came to be."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from watchdesk_collector.ops.database import open_ops, writing
from watchdesk_collector.ops.schema import host, metadata, silence


def _ddl(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'").all()
    return {name: " ".join(sql.split()) for name, sql in rows}


def _column_lines(ddl: str) -> list[str]:
    return sorted(part.strip(" ,)") for part in ddl.replace("(", ",", 1).split(","))


def test_migrations_make_exactly_the_declared_tables_and_indices(tmp_path: Path) -> None:
    migrated = open_ops(tmp_path / "ops.db")
    declared = sa.create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    metadata.create_all(declared)
    by_migration, by_declaration = _ddl(migrated), _ddl(declared)
    assert by_migration.keys() == by_declaration.keys()
    for name, ddl in by_declaration.items():
        assert _column_lines(by_migration[name]) == _column_lines(ddl), name
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_opening_twice_keeps_what_is_there(tmp_path: Path) -> None:
    with writing(open_ops(tmp_path / "ops.db")) as connection:
        connection.execute(sa.insert(silence).values(host="web1", comment="", created_at_us=1, until_us=2))
    with open_ops(tmp_path / "ops.db").connect() as connection:
        assert connection.execute(sa.select(silence.c.host)).scalars().all() == ["web1"]


def test_every_commit_is_synced_to_disk(tmp_path: Path) -> None:
    with open_ops(tmp_path / "ops.db").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    engine = open_ops(tmp_path / "ops.db")

    def write_and_fail() -> None:
        with writing(engine) as connection:
            connection.execute(sa.insert(silence).values(host="web1", comment="", created_at_us=1, until_us=2))
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        write_and_fail()
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(silence)).scalar() == 0


def test_two_watched_hosts_cannot_have_one_name(tmp_path: Path) -> None:
    engine = open_ops(tmp_path / "ops.db")
    facts = {"first_seen_at_us": 1, "last_seen_at_us": 1, "boot_id": "b", "agent_version": "1", "clock_offset_s": 0.0}
    with engine.begin() as connection:
        connection.execute(sa.insert(host).values(agent_id="a", host_id=1, name="web1", **facts))
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(host).values(agent_id="b", host_id=2, name="web1", **facts))
