import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from watchdesk_collector.clock import SystemClock
from watchdesk_collector.model import host_id_of
from watchdesk_collector.ops.database import open_ops
from watchdesk_collector.ops.hosts import HostDirectory, Introduction, NameTaken


def introduction(name: str, *, agent_id: str = "", offset_s: float = 0.0) -> Introduction:
    return Introduction(agent_id=agent_id or f"agent of {name}", name=name, boot_id="boot", agent_version="1", clock_offset_s=offset_s)


@pytest.fixture
def ops(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_ops(tmp_path / "ops.db")
    yield engine
    engine.dispose()


def watch_writes(ops: sa.Engine) -> list[str]:
    """Grows by each statement that changes something."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            statements.append(statement)

    sa.event.listen(ops, "before_cursor_execute", note)
    return statements


def take_writes(ops: sa.Engine, takes: bool) -> None:
    """Whether the database lets itself be written, or refuses with an OperationalError, as it does on a full disk."""
    with ops.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if takes else 'ON'}")


def test_the_directory_is_read_while_an_introduction_waits_for_the_disk(ops: sa.Engine) -> None:
    """Who writes to ops.db asks for the hosts meanwhile: an introduction that waits for that writer must not make it wait in turn."""
    directory = HostDirectory(ops, SystemClock())
    directory.introduce(introduction("web"))
    with ops.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE held (x)")
        waiting = threading.Thread(target=directory.introduce, args=[introduction("db")])
        waiting.start()
        reading = threading.Thread(target=lambda: [directory.list() for _ in range(200)])
        reading.start()
        reading.join(5)
        assert not reading.is_alive()
        assert [host.name for host in directory.list()] == ["web"]
    waiting.join(10)
    assert [host.name for host in directory.list()] == ["db", "web"]


def test_a_name_belongs_to_one_agent_until_it_is_given_up(ops: sa.Engine) -> None:
    directory = HostDirectory(ops, SystemClock())
    directory.introduce(introduction("web", agent_id="a"))
    with pytest.raises(NameTaken, match="belongs to agent a"):
        directory.introduce(introduction("web", agent_id="b"))
    directory.introduce(introduction("www", agent_id="a"))
    directory.introduce(introduction("web", agent_id="b"))
    assert {host.name: host.agent_id for host in directory.list()} == {"web": "b", "www": "a"}


def test_a_host_that_returns_unchanged_costs_no_write(ops: sa.Engine) -> None:
    directory = HostDirectory(ops, SystemClock())
    statements = watch_writes(ops)
    directory.introduce(introduction("web"))
    assert statements
    statements.clear()
    assert directory.introduce(introduction("web", offset_s=3.0)).clock_offset_s == 3.0
    assert not statements


def test_what_became_known_of_the_stream_meanwhile_outlives_an_introduction(ops: sa.Engine) -> None:
    clock = SystemClock()
    directory = HostDirectory(ops, clock)
    directory.introduce(introduction("web"))
    host_id, at = host_id_of("agent of web"), clock.now()
    directory.connected(host_id)
    directory.seen([host_id], at)
    host = directory.introduce(introduction("web"))
    assert (host.connected, host.last_seen_at) == (True, at)


def test_freshness_and_clock_offset_are_there_after_a_restart(ops: sa.Engine) -> None:
    clock = SystemClock()
    directory = HostDirectory(ops, clock)
    directory.introduce(introduction("web"))
    directory.introduce(introduction("web", offset_s=7.0))
    at = clock.now()
    directory.seen([host_id_of("agent of web")], at)
    directory.flush()
    (host,) = HostDirectory(ops, clock).list()
    assert host.clock_offset_s == 7.0
    assert abs((host.last_seen_at - at).total_seconds()) < 0.001


def test_a_clock_is_flagged_beyond_the_tolerance_until_it_is_within_half_of_it(ops: sa.Engine) -> None:
    directory = HostDirectory(ops, SystemClock(), clock_tolerance_s=2.0)
    host_id = directory.introduce(introduction("web")).host_id
    flags = []
    for offset_s in (1.9, 2.1, 1.5, 1.1, 0.9, 1.9, -2.1, -1.1, -0.9):
        directory.note_clock(host_id, offset_s)
        flags.append(directory.list()[0].clock_is_off)
    assert flags == [False, True, True, True, False, False, True, True, False]


def test_a_clock_that_is_off_stays_flagged_over_a_new_stream_and_a_restart(ops: sa.Engine) -> None:
    directory = HostDirectory(ops, SystemClock())
    directory.introduce(introduction("web", offset_s=-5.0))
    assert directory.introduce(introduction("web", offset_s=-1.5)).clock_is_off
    directory.introduce(introduction("web", offset_s=-5.0))
    directory.note_clock(host_id_of("agent of web"), -5.0)
    directory.flush()
    (host,) = HostDirectory(ops, SystemClock()).list()
    assert (host.clock_offset_s, host.clock_is_off) == (-5.0, True)


def test_the_noise_of_the_network_moves_no_clock(ops: sa.Engine) -> None:
    """Alerts are read by the offset in whole seconds: samples would be moved to and fro."""
    directory = HostDirectory(ops, SystemClock())
    host_id = directory.introduce(introduction("web", offset_s=30.0)).host_id
    for offset_s in (30.4, 30.6, 29.5):
        directory.note_clock(host_id, offset_s)
        assert directory.list()[0].clock_offset_s == 30.0
    directory.note_clock(host_id, 31.5)
    assert directory.list()[0].clock_offset_s == 31.5


def test_what_a_full_disk_did_not_take_is_written_with_the_next_flush(ops: sa.Engine) -> None:
    clock = SystemClock()
    directory = HostDirectory(ops, clock)
    directory.introduce(introduction("web"))
    before = clock.now()
    directory.seen([host_id_of("agent of web")], before)
    take_writes(ops, False)
    directory.flush()
    take_writes(ops, True)
    assert HostDirectory(ops, clock).list()[0].last_seen_at != before
    directory.flush()
    assert abs((HostDirectory(ops, clock).list()[0].last_seen_at - before).total_seconds()) < 0.001


def test_a_removed_host_frees_its_name_and_comes_back_when_its_agent_does(ops: sa.Engine) -> None:
    directory = HostDirectory(ops, SystemClock())
    directory.introduce(introduction("web", agent_id="a"))
    assert directory.remove("web")
    assert not directory.remove("web")
    assert directory.by_name("web") is None
    directory.introduce(introduction("web", agent_id="b"))
    with pytest.raises(NameTaken):
        directory.introduce(introduction("web", agent_id="a"))
    directory.introduce(introduction("web2", agent_id="a"))
    assert [host.name for host in HostDirectory(ops, SystemClock()).list()] == ["web", "web2"]
