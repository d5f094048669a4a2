"""What the spool keeps, in which order it gives it back, and what it gives up."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from agent.spool.conftest import OpenSpool
from fakes import FakeClock
from watchdesk_agent.spool import Hole, Spool


def append(spool: Spool, *payloads: bytes) -> None:
    assert spool.append(payloads, declarations={}, positions={})


def unsent(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    after = 0
    while (spooled := spool.next_unsent(after=after)) is not None:
        found.append(spooled.payload)
        after = spooled.id
    return found


def test_batches_come_back_in_order_with_their_epochs_after_a_restart(open_spool: OpenSpool) -> None:
    first = open_spool()
    append(first, b"a", b"b")
    first.close()
    second = open_spool()
    append(second, b"c")
    assert unsent(second) == [b"a", b"b", b"c"]
    assert second.epochs() == {1, 2}
    newest = second.next_unsent(after=2)
    assert newest is not None
    assert (newest.epoch, newest.seq) == (2, 1)


def test_an_acked_batch_is_not_sent_again_and_stays_until_it_is_checkpointed(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool, b"a", b"b")
    spool.finish({1: [(1, 1)]})
    assert unsent(spool) == [b"b"]
    assert spool.stats().batches == 2
    spool.release({1: [(1, 1)]})
    assert spool.stats().batches == 1


def test_a_batch_that_the_collector_forgot_is_sent_again(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool, b"a", b"b", b"c")
    spool.finish({1: [(1, 3)]})
    spool.reconcile({1: [(2, 2)]})
    assert unsent(spool) == [b"a", b"c"]


def test_a_batch_whose_ack_was_lost_is_not_sent_again(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool, b"a", b"b", b"c")
    spool.reconcile({1: [(1, 2)], 77: [(1, 9)]})
    assert unsent(spool) == [b"c"]


def test_over_its_bound_the_spool_gives_up_what_the_collector_already_holds_first(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=30)
    append(spool, b"1" * 10, b"2" * 10, b"3" * 10)
    spool.finish({1: [(2, 2)]})
    append(spool, b"4" * 10)
    assert unsent(spool) == [b"1" * 10, b"3" * 10, b"4" * 10]
    assert spool.holes() == []
    assert (spool.stats().at_risk_batches, spool.stats().dropped_batches) == (1, 0)


def test_over_its_bound_the_spool_gives_up_the_oldest_and_tells_one_range(open_spool: OpenSpool, caplog: pytest.LogCaptureFixture) -> None:
    spool = open_spool(max_bytes=30)
    for number in range(1, 10):
        append(spool, str(number).encode() * 10)
    assert unsent(spool) == [b"7" * 10, b"8" * 10, b"9" * 10]
    assert spool.holes() == [Hole(1, 1, 6, "spool_overflow")]
    assert spool.stats().dropped_batches == 6
    assert len([record for record in caplog.records if "spool.max_bytes" in record.message]) == 1


def test_too_old_batches_are_given_up(open_spool: OpenSpool, clock: FakeClock) -> None:
    spool = open_spool()
    append(spool, b"old", b"older")
    clock.advance(8 * 86400)
    append(spool, b"new")
    assert unsent(spool) == [b"new"]
    assert spool.holes() == [Hole(1, 1, 2, "spool_age")]


def test_a_hole_is_forgotten_when_the_collector_has_checkpointed_that_it_knows(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=10)
    append(spool, b"1" * 10, b"2" * 10)
    spool.release({1: [(1, 1)]})
    assert spool.holes() == []


def test_positions_and_declarations_survive_with_the_batch_that_brought_them(open_spool: OpenSpool) -> None:
    first = open_spool()
    first.append([b"lines"], declarations={5: b"schema"}, positions={"a.log": "10", "b.log": "7"})
    first.append([], declarations={5: b"another, not taken: an id is a hash"}, positions={"a.log": "12"})
    first.close()
    second = open_spool()
    assert second.positions() == {"a.log": "12", "b.log": "7"}
    assert second.declarations() == {5: b"schema"}


def test_the_newest_batch_before_a_time_is_found(open_spool: OpenSpool, clock: FakeClock) -> None:
    spool = open_spool()
    assert spool.newest_id_before(2**60) == 0
    append(spool, b"a")
    clock.advance(60)
    append(spool, b"b")
    assert spool.newest_id_before(int(clock.now().timestamp() * 1e6) - 1) == 1


@pytest.mark.parametrize("damage", ["overwritten", "torn", "of another format"])
def test_a_corrupted_file_is_set_aside_and_told(open_spool: OpenSpool, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    spool = open_spool()
    append(spool, *[b"x" * 3000] * 20)
    spool.close()
    path = tmp_path / "spool.db"
    if damage == "overwritten":
        path.write_bytes(b"this is no database, it is a sentence" * 100)
    elif damage == "torn":
        content = path.read_bytes()
        path.write_bytes(content[:8192] + b"\xff" * 4096 + content[12288 : len(content) // 2])
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    fresh = open_spool()
    append(fresh, b"goes on")
    assert unsent(fresh) == [b"goes on"]
    assert [file.name for file in tmp_path.glob("spool.db.corrupt-*")] == ["spool.db.corrupt-20260101T000000Z"]
    assert [record.levelno for record in caplog.records if "is kept as" in record.message] == [logging.ERROR]


def test_a_spool_of_the_first_version_is_taken_over_with_all_that_is_in_it(tmp_path: Path, open_spool: OpenSpool) -> None:
    with closing(sqlite3.connect(tmp_path / "spool.db")) as old:
        old.executescript(FIRST_VERSION)
        old.execute("INSERT INTO batch (epoch, seq, spooled_us, payload) VALUES (77, 3, 1767225600000000, x'61')")
        old.execute("INSERT INTO position VALUES ('app.log', '12')")
        old.execute("UPDATE total SET batches = 1, bytes = 1")
        old.commit()
    spool = open_spool()
    append(spool, b"b")
    assert unsent(spool) == [b"a", b"b"]
    assert spool.positions() == spool.untold_positions() == {"app.log": "12"}
    assert spool.take_lost() == []
    assert spool.home() is None


FIRST_VERSION = """
    CREATE TABLE batch (
        id INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, spooled_us INTEGER NOT NULL,
        is_done INTEGER NOT NULL DEFAULT 0, payload BLOB NOT NULL, UNIQUE (epoch, seq)
    );
    CREATE INDEX batch_by_state ON batch (is_done, id);
    CREATE TABLE hole (epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL);
    CREATE TABLE declaration (schema_id INTEGER PRIMARY KEY, payload BLOB NOT NULL);
    CREATE TABLE position (source TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE total (batches INTEGER NOT NULL, bytes INTEGER NOT NULL);
    INSERT INTO total VALUES (0, 0);
    CREATE TRIGGER batch_added AFTER INSERT ON batch BEGIN
        UPDATE total SET batches = batches + 1, bytes = bytes + length(new.payload);
    END;
    CREATE TRIGGER batch_removed AFTER DELETE ON batch BEGIN
        UPDATE total SET batches = batches - 1, bytes = bytes - length(old.payload);
    END;
    PRAGMA user_version = 1;
"""
