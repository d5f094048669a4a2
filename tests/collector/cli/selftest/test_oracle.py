"""The oracle against made-up losses and doubles: each must be told, and nothing else."""

from collections.abc import Mapping, Sequence

import pytest
from watchdesk_collector.cli.selftest.ledgers import LINES, MODULUS, UNCOUNTED, Ledgers, parse
from watchdesk_collector.cli.selftest.oracle import Evil, Oracle
from watchdesk_collector.cli.selftest.stored import Stored, StoredBatch, Tally

HOST, EPOCH = "host-1", 7
AT = 1_800_000_000_000_000
NO_LINES: Mapping[str, Sequence[int]] = {}


class Books:
    """An agent's ledger and what a collector stored of it: seq n has two samples of `cpu` and one of `disk`, unless made otherwise."""

    def __init__(self) -> None:
        self.ledgers = Ledgers()
        self.oracle = Oracle(self.ledgers)
        self.batches: list[StoredBatch] = []
        self.times: dict[str, list[int]] = {"cpu": [], "disk": []}

    def spool(self, *seqs: int, ack: bool = True) -> None:
        for seq in seqs:
            cpu, disk = times(seq)
            self.tell(f'spooling {EPOCH} {seq} {{"cpu":{cpu},"disk":{disk}}}', f"spooled {EPOCH} {seq}")
            if ack:
                self.tell(f"acked {EPOCH} {seq} {seq}")

    def store(self, *seqs: int) -> None:
        for seq in seqs:
            cpu, disk = times(seq)
            self.batches.append(StoredBatch(HOST, EPOCH, seq, seq, 3, "stored"))
            self.times["cpu"] += cpu
            self.times["disk"] += disk

    def tell(self, *lines: str, round_: int = 1) -> None:
        self.ledgers.current_round = round_
        for line in lines:
            self.ledgers.take(HOST, parse(line))

    def stored(self) -> Stored:
        tallies = {
            (HOST, name): Tally(len(stamps), len(set(stamps)), sum(at % MODULUS for at in stamps)) for name, stamps in self.times.items() if stamps
        }
        return Stored(batches=self.batches, tallies=tallies)

    def check(self, round_: int = 1) -> list[tuple[Evil, int]]:
        found = self.oracle.check(self.stored(), acked=self.oracle.acked(), current_round=round_)
        return [(finding.evil, finding.samples) for finding in found]

    def close(self, missing_lines: Mapping[str, Sequence[int]] = NO_LINES) -> list[tuple[Evil, int]]:
        return [(finding.evil, finding.samples) for finding in self.oracle.close(self.stored(), missing_lines=missing_lines)]


@pytest.fixture
def books() -> Books:
    return Books()


def times(seq: int) -> tuple[list[int], list[int]]:
    first = AT + seq * 1_000_000
    return [first, first + 500_000], [first]


def test_what_is_whole_gives_no_finding(books: Books) -> None:
    books.spool(1, 2, 3)
    books.store(3, 1, 2)
    assert books.check() == []
    assert books.close() == []


def test_what_was_acked_and_is_not_stored_is_lost_at_once(books: Books) -> None:
    books.spool(1, 2)
    books.store(1)
    assert books.check() == [(Evil.LOST, 3)]
    assert books.check() == [], "a finding is told once"


def test_what_was_spooled_and_never_arrived_is_lost_at_the_end_and_not_before(books: Books) -> None:
    books.spool(1, 2, ack=False)
    books.store(1)
    assert books.check() == []
    assert books.close() == [(Evil.LOST, 3)]


@pytest.mark.parametrize("outcome", ["dropped", "rejected"])
def test_what_the_collector_says_was_given_up_is_not_lost(books: Books, outcome: str) -> None:
    books.spool(1, 2, 3, ack=False)
    books.store(1)
    books.batches.append(StoredBatch(HOST, EPOCH, 2, 3, 0, outcome))
    assert books.close() == []


def test_a_drop_that_only_the_agent_knows_of_is_a_loss(books: Books) -> None:
    books.spool(1, ack=False)
    books.tell(f"dropped {EPOCH} 1 1 spool_overflow")
    assert books.close() == [(Evil.LOST, 3)]


def test_what_found_no_room_was_never_spooled(books: Books) -> None:
    books.tell(f'spooling {EPOCH} 1 {{"cpu":[{AT}]}}', f"dropped {EPOCH} 1 1 disk_full")
    assert books.close() == []


def test_what_an_agent_did_not_live_to_spool_is_not_lost_and_may_be_stored_all_the_same(books: Books) -> None:
    cpu, disk = times(2)
    books.tell(f'spooling {EPOCH} 1 {{"cpu":[{AT}]}}', f'spooling {EPOCH} 2 {{"cpu":{cpu},"disk":{disk}}}')
    books.store(2)
    assert books.close() == []


def test_what_a_round_threw_away_is_not_lost_unless_it_was_acked(books: Books) -> None:
    books.spool(1, ack=False)
    books.spool(2)
    books.ledgers.throw_away(tuple(books.ledgers.stories), why="in a test")
    assert books.close() == [(Evil.LOST, 3)]


def test_a_batch_that_is_stored_twice_is_doubled_and_so_are_its_samples(books: Books) -> None:
    books.spool(1)
    books.store(1, 1)
    evils, samples = zip(*books.check(), strict=True)
    assert set(evils) == {Evil.DOUBLED}
    assert samples[0] == 3


def test_samples_that_are_stored_twice_under_one_batch_are_doubled(books: Books) -> None:
    books.spool(1)
    books.store(1)
    books.times["disk"] *= 2
    assert (Evil.DOUBLED, 1) in books.check()


def test_samples_that_are_not_there_although_their_batch_is_are_lost(books: Books) -> None:
    books.spool(1, 2)
    books.store(1, 2)
    del books.times["disk"][0]
    assert books.check() == [(Evil.LOST, 1)]
    del books.times["disk"][0]
    assert books.check() == [(Evil.LOST, 1)], "only what is missing more than before"


def test_one_sample_too_few_and_another_too_many_do_not_make_up_for_each_other(books: Books) -> None:
    books.spool(1)
    books.store(1)
    books.times["disk"] = [AT + 12_345]
    assert books.check() == [(Evil.LOST, 1)]


def test_a_batch_that_holds_fewer_samples_than_were_spooled_is_lost(books: Books) -> None:
    books.spool(1)
    books.store(1)
    books.batches[0] = StoredBatch(HOST, EPOCH, 1, 1, 2, "stored")
    assert (Evil.LOST, 1) in books.check()


def test_a_batch_that_nobody_spooled_is_doubled(books: Books) -> None:
    books.store(1)
    assert (Evil.DOUBLED, 3) in books.check()


def test_a_log_line_that_is_stored_twice_is_doubled_though_its_agent_sent_it_twice(books: Books) -> None:
    """As after a restored state: both copies came in good order, in batches of their own."""
    books.tell(f'spooling {EPOCH} 1 {{"log":[{AT}]}}', f"spooled {EPOCH} 1", f'spooling {EPOCH} 2 {{"log":[{AT}]}}', f"spooled {EPOCH} 2")
    books.batches += [StoredBatch(HOST, EPOCH, seq, seq, 1, "stored") for seq in (1, 2)]
    books.times = {LINES: [AT, AT]}
    assert books.check() == [(Evil.DOUBLED, 1)]


def test_log_lines_that_are_not_stored_at_the_end_are_lost_in_the_rounds_that_wrote_them(books: Books) -> None:
    books.close({HOST: [4, 4, 9], "host-2": []})
    assert [(finding.round, finding.samples) for finding in books.oracle.findings] == [(4, 2), (9, 1)]


def test_a_slot_that_is_sampled_again_is_no_double_once_the_clock_was_set_and_before_that_it_is(books: Books) -> None:
    line = f'{{"cpu":[{AT}]}}'
    books.ledgers.note_set_clock(HOST)
    books.tell(f"spooling {EPOCH} 1 {line}", f"spooling {EPOCH} 2 {line}")
    books.batches += [StoredBatch(HOST, EPOCH, seq, seq, 1, "stored") for seq in (1, 2)]
    books.times = {"cpu": [AT, AT]}
    assert books.check() == []
    books.times = {"cpu": [AT, AT, AT]}
    assert (Evil.DOUBLED, 1) in books.check()


def test_samples_that_history_may_drop_are_not_counted(books: Books) -> None:
    books.tell(f"spooling {EPOCH} 1 {{}}", f"spooled {EPOCH} 1", f"acked {EPOCH} 1 1")
    books.batches.append(StoredBatch(HOST, EPOCH, 1, 1, 1, "stored"))
    books.times = {UNCOUNTED: [AT]}
    assert books.close() == []


def test_a_finding_names_the_round_to_blame(books: Books) -> None:
    books.spool(1)
    books.check(round_=1)
    books.tell(f'spooling {EPOCH} 2 {{"cpu":[{AT}]}}', f"spooled {EPOCH} 2", round_=5)
    books.tell(f"acked {EPOCH} 2 2", round_=6)
    books.store(1)
    books.check(round_=6)
    assert [finding.round for finding in books.oracle.findings] == [1, 5]
