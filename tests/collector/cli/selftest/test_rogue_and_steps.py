"""A rogue sender against a real collector, which dies at the step that it is told to."""

import random
import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
from watchdesk_collector.cli.demo.waiting import Waiter
from watchdesk_collector.cli.selftest.arena import Arena, opened
from watchdesk_collector.cli.selftest.collector_process import last_words
from watchdesk_collector.cli.selftest.kinds.steps import KillAt
from watchdesk_collector.cli.selftest.rogue import Parcel, Rogue
from watchdesk_collector.history.steps import Step

WITHIN_S = 30.0


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Its collector alone runs, for all tests here: each sends batches of its own, the last one some whose samples are too old to stay."""
    with opened(tmp_path_factory.mktemp("arena"), waiter=Waiter(programs=(), poll_s=0.05), seed=1, keep=False) as arena:
        arena.collector.start()
        yield arena


def stored(arena: Arena, parcels: Sequence[Parcel]) -> list[int]:
    """The seqs of these that are stored, each as often as it is."""
    rows = arena.collector.api.sql("SELECT seq, seq_to FROM batch WHERE host = 'rogue' AND outcome = 'stored' ORDER BY seq")
    return [seq for first, last in rows for seq in range(first, last + 1) if seq in {parcel.seq for parcel in parcels}]


def are_samples_whole(arena: Arena) -> bool:
    """Whether there are as many as came with the batches that are stored."""
    api = arena.collector.api
    return api.number("SELECT count(*) FROM selftest") == api.number("SELECT sum(rows) FROM batch WHERE host = 'rogue'")


def facts(rogue: Rogue, word: str) -> int:
    return sum(line.startswith(f"{word} ") for line in rogue.ledger.read_text().splitlines())


def same_stream(rogue: Rogue, parcels: Sequence[Parcel]) -> None:
    rogue.send([*parcels, *reversed(parcels), *parcels])


def after_the_ack(rogue: Rogue, parcels: Sequence[Parcel]) -> None:
    rogue.send(parcels)
    assert rogue.wait_answered(within_s=WITHIN_S)
    rogue.send(parcels)


def another_stream(rogue: Rogue, parcels: Sequence[Parcel]) -> None:
    rogue.send(parcels)
    rogue.hang_up()
    rogue.send(parcels[::2])
    rogue.hang_up()
    rogue.send(parcels[1::2])


@pytest.mark.parametrize("send", [same_stream, after_the_ack, another_stream])
def test_batches_that_come_again_in_any_order_are_stored_once(arena: Arena, send: Callable[[Rogue, Sequence[Parcel]], None]) -> None:
    parcels, acked = arena.rogue.make(7), facts(arena.rogue, "acked")
    send(arena.rogue, parcels)
    assert arena.rogue.settle(within_s=WITHIN_S)
    assert stored(arena, parcels) == [parcel.seq for parcel in parcels]
    assert are_samples_whole(arena)
    assert facts(arena.rogue, "acked") > acked


@pytest.mark.parametrize("step", [Step.ROWS_COMMITTED, Step.TABLES_DECLARED])
def test_a_collector_dies_by_its_own_hand_at_the_step_and_has_everything_after_the_next_start(arena: Arena, step: Step) -> None:
    arena.collector.stop()
    arena.collector.start("--kill-at", step, "--count", "1")
    arena.until("an answer", arena.collector.answers)
    arena.rogue.widen()
    parcels = arena.rogue.make(9)
    arena.rogue.send(parcels)
    arena.until("the end", lambda: not arena.collector.is_running)
    assert arena.collector.program.exit_code == -signal.SIGKILL
    assert last_words(step) in arena.collector.program.last_words()
    arena.collector.start()
    assert arena.rogue.settle(within_s=WITHIN_S)
    assert stored(arena, parcels) == [parcel.seq for parcel in parcels]
    assert are_samples_whole(arena)


def test_a_collector_in_a_hurry_comes_to_the_steps_that_take_hours(arena: Arena) -> None:
    KillAt(name="kill_at_drop", steps=(Step.FILE_UNLINKED,)).inject(arena, random.Random(1))
    assert last_words(Step.FILE_UNLINKED) in arena.collector.log.read_text()
    assert arena.collector.is_running
