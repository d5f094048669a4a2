"""Every way to damage a write-ahead log: cut there, flip a bit there, a part of it twice. After each the collector must start, and once agents have
sent again what it lacks, history must be what was sent: nothing lost, nothing doubled.

    python tests/chaos/wal_sweep.py [--seed S] [--in-process 2000] [--collector 100]

Places: every byte of the last two transactions, 8 bytes around each record's boundary, every bit of the header, random ones; and random ones with the
real collector and a real agent, as processes. Exit code 1 when a start fails or an end state differs.
"""

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # when it is run alone
sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

from collector.history.kit import log_records
from harness import Report, finish, parser
from wal_check import Damage, Result
from wal_collector import check_collector
from wal_crew import run_all
from wal_history import LOG, Truth, make_history

AROUND = 8
TELL_EVERY_S = 5.0
MEMORY = Path("/dev/shm")  # each start syncs several times, and this asks nothing of the disk

COLLECTOR_CLASS = "real collector and agent: random"

Classes = dict[str, list[Damage]]
Tried = tuple[str, Damage, Result]


def places(log: bytes, seed: int, random_places: int) -> Classes:
    """Class → what to try."""
    records = log_records(log)
    ends = [record.end for record in records if record.ends_transaction]
    rng = random.Random(seed)
    last_two = range(ends[-3], ends[-1])
    boundaries = sorted({place for record in records for place in range(record.start - AROUND, record.start + AROUND + 1)})
    boundaries += range(len(log) - AROUND, len(log))
    scattered = [rng.randrange(len(log)) for _ in range(random_places)]
    classes: Classes = {
        "last two transactions, each byte: cut": [Damage("cut", place) for place in last_two],
        "last two transactions, each byte: a bit": [Damage("flip", place, rng.randrange(8)) for place in last_two],
        "around each record's boundary: cut": [Damage("cut", place) for place in boundaries],
        "around each record's boundary: a bit": [Damage("flip", place, rng.randrange(8)) for place in boundaries],
        "header: each bit": [Damage("flip", place, bit) for place in range(records[0].start) for bit in range(8)],
        "from each record on: twice": [Damage("twice", record.start) for record in records],
        "random: cut": [Damage("cut", place) for place in scattered[::2]],
        "random: a bit": [Damage("flip", place, rng.randrange(8)) for place in scattered[1::2]],
    }
    return classes


@dataclass(slots=True)
class Row:
    """The line of one class in the table."""

    name: str
    tried: int = 0
    failed: int = 0
    differ: int = 0
    cut: int = 0
    sent_again: int = 0

    def add(self, result: Result) -> None:
        self.tried += 1
        self.failed += bool(result.failure)
        self.differ += bool(result.difference)
        self.cut += result.set_aside > 0
        self.sent_again += result.sent_again


def run(*, seed: int, in_process: int, collector: int, choose: Callable[[Classes], Classes] = lambda classes: classes) -> Report:
    report = Report(f"write-ahead logs, damaged (seed {seed})")
    started_s = time.monotonic()
    with ThreadPoolExecutor(1) as beside, _scratch() as scratch:
        with_collector = beside.submit(lambda: list(check_collector(seed, collector)))
        make_history(scratch / "recorded", Truth(seed))
        log = (scratch / "recorded" / LOG).read_bytes()
        report.figure("the log", f"{len(log)} bytes, {len(log_records(log))} records")
        classes = choose(places(log, seed, in_process))
        results = run_all(scratch, seed, [(name, damage) for name, damages in classes.items() for damage in damages])
        rows = _rows(_told(results, sum(len(damages) for damages in classes.values())), report)
        rows += _rows(((COLLECTOR_CLASS, damage, result) for damage, result in with_collector.result()), report)
    _print_table(rows)
    report.figure("time", f"{time.monotonic() - started_s:.0f} s")
    report.claim("every start succeeded", not sum(row.failed for row in rows))
    report.claim("every end state is the truth", not sum(row.differ for row in rows))
    return report


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="watchdesk-wal-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _told(results: Iterable[Tried], total: int) -> Iterator[Tried]:
    """Pass results on, and say now and then how far it is."""
    started_s = told_s = time.monotonic()
    for number, result in enumerate(results, start=1):
        yield result
        now_s = time.monotonic()
        if now_s - told_s >= TELL_EVERY_S:
            told_s = now_s
            left_s = (now_s - started_s) / number * (total - number)
            print(f"   {number} of {total} starts, {left_s:.0f} s left", flush=True)


def _rows(results: Iterable[Tried], report: Report) -> list[Row]:
    """A line per class, in the order in which they come."""
    rows: dict[str, Row] = {}
    for name, damage, result in results:
        rows.setdefault(name, Row(name)).add(result)
        _tell_failure(report, damage, result)
    return list(rows.values())


def _tell_failure(report: Report, damage: Damage, result: Result) -> None:
    if result.failure or result.difference:
        report.figure(str(damage), result.failure or result.difference)


def _print_table(rows: Sequence[Row]) -> None:
    total = Row("total")
    for row in rows:
        for name in ("tried", "failed", "differ", "cut", "sent_again"):
            setattr(total, name, getattr(total, name) + getattr(row, name))
    print(f"\n   {'class':42}{'positions':>10}{'starts failed':>15}{'states differ':>15}{'cut and told':>14}{'sent again':>12}")
    for row in (*rows, total):
        print(f"   {row.name:42}{row.tried:>10}{row.failed:>15}{row.differ:>15}{row.cut:>14}{row.sent_again:>12}")


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--seed", type=int, default=random.randrange(2**31))
    options.add_argument("--in-process", type=int, default=2000, help="random places in process; default 2000")
    options.add_argument("--collector", type=int, default=100, help="random places with the real collector; default 100")
    chosen = options.parse_args()
    finish(run(seed=chosen.seed, in_process=chosen.in_process, collector=chosen.collector))
