"""Ledgers as they are read while they grow."""

from pathlib import Path

import pytest
from watchdesk_collector.cli.selftest.ledgers import Fact, Key, Ledgers, Rows, parse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledgers(path: Path) -> Ledgers:
    ledgers = Ledgers()
    ledgers.add(path, host="host-1")
    return ledgers


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_ledger_that_is_not_there_yet_is_empty(ledgers: Ledgers) -> None:
    ledgers.read()
    assert ledgers.stories == {}


def test_each_line_is_read_once_and_a_torn_one_when_it_is_whole(ledgers: Ledgers, path: Path) -> None:
    append(path, 'spooling 7 1 {"cpu":[1000000008,5]}\nspooled 7 1\nack')
    ledgers.read()
    story = ledgers.stories[Key("host-1", 7, 1)]
    assert story.rows == {"cpu": Rows(2, 6)}
    assert story.facts == {Fact.SPOOLING, Fact.SPOOLED}
    append(path, "ed 7 1 1\n")
    ledgers.read()
    assert Fact.ACKED in story.facts


def test_a_story_belongs_to_the_round_in_which_it_began(ledgers: Ledgers, path: Path) -> None:
    ledgers.current_round = 3
    append(path, 'spooling 7 1 {"cpu":[1]}\n')
    ledgers.read()
    ledgers.current_round = 4
    append(path, "spooled 7 1\nacked 7 1 2\n")
    ledgers.read()
    assert [story.round for story in ledgers.stories.values()] == [3, 4]


def test_two_ledgers_of_one_host_tell_of_the_same_batches(ledgers: Ledgers, path: Path) -> None:
    copy = path.with_name("copy")
    ledgers.add(copy, host="host-1")
    append(path, 'spooling 7 1 {"cpu":[1]}\nspooled 7 1\n')
    append(copy, "acked 7 1 1\n")
    ledgers.read()
    assert ledgers.stories[Key("host-1", 7, 1)].facts == {Fact.SPOOLING, Fact.SPOOLED, Fact.ACKED}


def test_a_reason_may_hold_anything(ledgers: Ledgers) -> None:
    assert list(parse("dropped 7 2 4 spool_overflow").seqs) == [2, 3, 4]
    assert list(parse("rejected 7 5 5 no room: 3 of 4 columns are not known").seqs) == [5]


def test_a_line_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="swallowed"):
        parse("swallowed 7 1 1")
