"""Ordered batches: which one follows which, so that a spool knows whether what the collector holds of the logs is what it sent."""

from agent.spool.conftest import OpenSpool
from watchdesk_agent.spool import Hole, Spool, TheirPositions


def append(spool: Spool, *payloads: bytes, ordered: int = 0, **positions: str) -> None:
    assert spool.append(payloads, declarations={}, positions=positions, ordered=ordered)


def at(epoch: int, seq: int) -> TheirPositions:
    return TheirPositions(epoch=epoch, seq=seq, values={})


def fitting(spool: Spool) -> list[int]:
    """The seq of epoch 1 that the collector's positions must have come with; 0 for none."""
    return [seq for seq in range(20) if spool.fits(at(1 if seq else 0, seq))]


def unsent(spool: Spool, *, is_ordered: bool | None = None) -> list[bytes]:
    found, after = [], 0
    while (spooled := spool.next_unsent(after=after, is_ordered=is_ordered)) is not None:
        found.append(spooled.payload)
        after = spooled.id
    return found


def test_the_collector_stands_before_what_is_unsent_or_at_the_newest(open_spool: OpenSpool) -> None:
    spool = open_spool()
    assert fitting(spool) == [0]
    append(spool, b"samples", b"lines", ordered=1)
    append(spool, b"samples", b"lines", ordered=1)
    assert fitting(spool) == [0]
    spool.finish({1: [(1, 2)]})
    assert fitting(spool) == [2]
    spool.finish({1: [(3, 4)]})
    assert fitting(spool) == [4]
    spool.release({1: [(1, 4)]})
    spool.close()
    assert fitting(open_spool()) == [4]


def test_parts_of_one_look_at_the_logs_all_follow_the_one_before(open_spool: OpenSpool) -> None:
    """Only the last of them has positions: the collector can stand at that, or at the one before all of them."""
    spool = open_spool()
    append(spool, b"lines", ordered=1)
    append(spool, b"part", b"part", b"part", ordered=3)
    spool.finish({1: [(1, 3)]})
    assert fitting(spool) == [1]
    spool.finish({1: [(4, 4)]})
    assert fitting(spool) == [4]


def test_a_spool_that_took_over_positions_of_others_and_lacks_their_batches_does_not_fit_before_those(open_spool: OpenSpool) -> None:
    """The collector has lost its write-ahead log, and who sent the lines in between is gone."""
    spool = open_spool()
    append(spool, b"lines", ordered=1)
    append(spool, b"lines", ordered=1)
    spool.finish({1: [(1, 2)]})
    spool.adopt(at(1, 5), positions={}, gives_up=True)
    assert fitting(spool) == [5]
    spool.reconcile({1: [(1, 1)]})
    assert unsent(spool) == [b"lines"]
    assert fitting(spool) == [], "it leads from 1 to 2, and not to 5"


def test_what_is_given_up_or_rejected_is_followed_by_nothing(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=25)
    append(spool, b"1" * 10, ordered=1)
    append(spool, b"2" * 10, ordered=1)
    append(spool, b"3" * 10, ordered=1)
    assert spool.holes() == [Hole(1, 1, 1, "spool_overflow")]
    assert fitting(spool) == [0]
    spool.reject(1, 2, "for a reason")
    assert fitting(spool) == [0]
    spool.reject(1, 3, "for a reason")
    assert fitting(spool) == [0]


def test_what_was_stored_and_is_dropped_is_still_followed(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=25)
    append(spool, b"1" * 10, ordered=1)
    spool.finish({1: [(1, 1)]})
    append(spool, b"2" * 10, ordered=1)
    append(spool, b"3" * 10, ordered=1)
    assert spool.stats().at_risk_batches == 1
    assert fitting(spool) == [1]


def test_a_batch_that_is_checkpointed_before_its_ack_is_read_was_stored(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool, b"lines", ordered=1)
    append(spool, b"lines", ordered=1)
    spool.release({1: [(1, 1)]})
    assert fitting(spool) == [1]


def test_unsent_lines_are_given_up_for_the_collectors_positions_and_samples_are_not(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool, b"samples", b"lines", ordered=1, app="5", web="7")
    spool.adopt(at(9, 9), positions={"app": "3"}, gives_up=True)
    assert unsent(spool) == [b"samples"]
    assert spool.holes() == [Hole(1, 2, 2, "superseded")]
    assert spool.stats().dropped_batches == 0, "nothing is lost: it is read again"
    assert spool.positions() == {"app": "3", "web": "7"}
    assert spool.untold_positions() == {"web": "7"}
    assert spool.fits(at(9, 9))


def test_lines_that_cannot_be_read_again_are_sent_after_what_the_collector_holds(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool, b"lines", ordered=1, app="5")
    spool.adopt(at(9, 9), positions={"web": "3"}, gives_up=False)
    assert unsent(spool) == [b"lines"]
    assert spool.fits(at(9, 9))
    spool.finish({1: [(1, 1)]})
    assert fitting(spool) == [1]


def test_positions_are_told_once_and_forgotten_ones_until_they_are_told(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool, b"lines", ordered=1, app="1")
    append(spool, app="2", web="1")
    assert spool.untold_positions() == {"app": "2", "web": "1"}
    append(spool, app="")
    assert spool.untold_positions() == {"app": "", "web": "1"}
    assert spool.positions() == {"web": "1"}
    append(spool, b"lines", ordered=1, web="2")
    assert spool.untold_positions() == {}
    assert spool.positions() == {"web": "2"}


def test_ordered_batches_and_others_are_found_apart(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool, b"a", b"b", ordered=1)
    append(spool, b"c", b"d", ordered=1)
    assert (unsent(spool, is_ordered=True), unsent(spool, is_ordered=False), unsent(spool)) == ([b"b", b"d"], [b"a", b"c"], [b"a", b"b", b"c", b"d"])
