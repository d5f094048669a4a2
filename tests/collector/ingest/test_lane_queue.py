import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from watchdesk_collector.ingest.lane_queue import LaneQueue


@dataclass(frozen=True)
class Entry:
    number: int
    bytes: int
    rows: int = 1


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=40), rows=st.integers(1, 5))
def test_a_queue_never_holds_more_than_its_bound_and_one_entry_and_keeps_the_order(sizes: list[int], rows: int) -> None:
    async def scenario() -> None:
        queue: LaneQueue[Entry] = LaneQueue(60)
        putting = [asyncio.create_task(queue.put(Entry(number, size))) for number, size in enumerate(sizes)]
        taken: list[Entry] = []
        while len(taken) < len(sizes):
            await asyncio.sleep(0)
            assert queue.bytes < 60 + max(sizes)
            taken += queue.take(max_rows=rows)
        await asyncio.gather(*putting)
        assert sorted(entry.number for entry in taken) == list(range(len(sizes)))
        assert queue.bytes == 0

    asyncio.run(scenario())


def test_one_that_waits_for_room_waits_until_something_was_taken() -> None:
    async def scenario() -> None:
        queue: LaneQueue[Entry] = LaneQueue(10)
        await queue.put(Entry(1, 10))
        waiting = asyncio.create_task(queue.put(Entry(2, 10)))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert [entry.number for entry in queue.take(max_rows=1)] == [1]
        await waiting
        assert [entry.number for entry in queue.take(max_rows=1)] == [2]

    asyncio.run(scenario())


def test_what_is_taken_ends_with_the_entry_that_reaches_the_rows_asked_for() -> None:
    async def scenario() -> None:
        queue: LaneQueue[Entry] = LaneQueue(1000)
        for number in range(5):
            await queue.put(Entry(number, 1, rows=10))
        assert [entry.number for entry in queue.take(max_rows=25)] == [0, 1, 2]
        assert len(queue) == 2

    asyncio.run(scenario())
