"""A past for a history: days of samples of many hosts, written through history's own door while no collector runs, for `bench_growth.py`.

A sample every two minutes instead of one a second, of the tables that pages and operators ask most: what grows with hosts and days grows in the
same way.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from walks import SECOND_US, walk
from watchdesk_collector.clock import SystemClock
from watchdesk_collector.history import History, HistoryConfig
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Lane, Table, host_id_of
from watchdesk_proto.catalogue import builtin

MEASUREMENTS = tuple(measurement for measurement in builtin() if measurement.name in {"cpu", "memory", "disk"})
STEP_S = 120
DAY_S = 86_400
VARIANTS = 8
HOSTS_AT_ONCE = 50


def write_past(state: Path, agent_ids: Sequence[str], *, now_us: int, days: Iterable[int]) -> None:
    """Day 0 is the 24 hours up to `now_us`, day 1 those before; sealed day by day and compacted, as they would have been."""
    history = History(path=state / "history", config=HistoryConfig(), catalogue=builtin(), hosts=list, clock=SystemClock(), metrics=Metrics())
    history.open()
    for day in days:
        _write_day(history, agent_ids, until_us=now_us - day * DAY_S * SECOND_US, number=day + 1)
        history.seal()
    history.compact()
    history.close()


def _write_day(history: History, agent_ids: Sequence[str], *, until_us: int, number: int) -> None:
    ts = until_us - np.arange(DAY_S, 0, -STEP_S, dtype=np.int64) * SECOND_US
    variants = [
        [walk(each, ts, np.random.default_rng((number, variant, index))) for index, each in enumerate(MEASUREMENTS)] for variant in range(VARIANTS)
    ]
    arrivals = [_arrival(agent_id, number, until_us, variants[index % VARIANTS]) for index, agent_id in enumerate(agent_ids)]
    for first in range(0, len(arrivals), HOSTS_AT_ONCE):
        history.commit(arrivals[first : first + HOSTS_AT_ONCE], [])


def _arrival(agent_id: str, number: int, until_us: int, tables: Sequence[Table]) -> Arrival:
    return Arrival(
        host_id=host_id_of(agent_id),
        epoch=1,
        seq=number,
        lane=Lane.BACKFILL,
        received_at_us=until_us,
        content_hash=number,
        bytes=sum(table.words.nbytes for table in tables),
        tables=tables,
    )
