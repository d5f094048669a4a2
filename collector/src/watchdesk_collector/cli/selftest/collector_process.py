"""The collector under test: the real one, which ends itself in the middle of history's work when told to. For `watchdesk selftest`.

    python -m watchdesk_collector.cli.selftest.collector_process --config FILE [--kill-at STEP --count N]

One that runs takes such orders as well: at the signal `ARM` it reads them from the file `orders`. It merges files after seconds, and at the signal
`HURRY` does what else happens when hours have passed: retention, and letting go of files that left history. Invariant: it ends by SIGKILL of its own
at that step alone, with `last_words` in its log, so that whoever waits for it knows that the step was hit.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when it is imported

from watchdesk_collector.app import StartError, calendar, run
from watchdesk_collector.clock import SystemClock
from watchdesk_collector.config import read_config
from watchdesk_collector.history import HistoryError, merging
from watchdesk_collector.history.leaving import STAY_S
from watchdesk_collector.history.steps import Step
from watchdesk_collector.ingest import Upkeep
from watchdesk_collector.jobs import Job

HURRY = signal.SIGUSR1
ARM = signal.SIGUSR2
MERGE_AFTER = timedelta(seconds=40)  # instead of an hour: files are made by the second here
MERGE_EVERY_S = 2.0


def last_words(step: Step) -> str:
    """What it says before it kills itself."""
    return f"kills itself, as told, at the step {step}"


def orders(config: Path) -> Path:
    """What a running collector is told, "STEP COUNT"."""
    return config.with_name("orders")


class KillAt:
    """Kills its own process when a step is passed for the nth time. Steps are passed on several threads."""

    def __init__(self, step: Step | None, *, count: int) -> None:
        self._lock = threading.Lock()
        self._step = step
        self._left = count

    def arm(self, orders: Path) -> None:
        """Take other orders."""
        step, count = orders.read_text(encoding="ascii").split()
        with self._lock:
            self._step, self._left = Step(step), int(count)

    def __call__(self, step: Step) -> None:
        with self._lock:
            self._left -= step is self._step
            if step is self._step and self._left == 0:
                os.write(sys.stderr.fileno(), f"{last_words(step)}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)


class HurriedClock:
    """The machine's clocks; the monotonic one can be set ahead, as if time had passed."""

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._ahead_s = 0.0

    def now(self) -> datetime:
        return self._machine.now()

    def monotonic_s(self) -> float:
        return self._machine.monotonic_s() + self._ahead_s

    def pass_by(self, seconds: float) -> None:
        self._ahead_s += seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """As `watchdesk-collector run`."""
    options = _parse(arguments)
    steps = KillAt(options.kill_at, count=options.count)
    signal.signal(ARM, lambda _number, _frame: steps.arm(orders(options.config)))
    clock = HurriedClock()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        asyncio.run(run(read_config(options.config), steps=steps, clock=clock, jobs=_jobs_in_a_hurry(clock)))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _jobs_in_a_hurry(clock: HurriedClock) -> Callable[[Upkeep], Sequence[Job]]:
    """The product's jobs; merging in between, and at `HURRY` retention at once."""
    merging.HOURLY_AFTER = MERGE_AFTER

    def make(upkeep: Upkeep) -> Sequence[Job]:
        loop = asyncio.get_running_loop()
        running: set[asyncio.Task[None]] = set()

        async def hurry() -> None:
            await upkeep.retain()
            clock.pass_by(STAY_S)

        async def merge() -> None:
            while True:
                await asyncio.sleep(MERGE_EVERY_S)
                with suppress(HistoryError):  # on a full disk; upkeep meets it as well, and tells
                    await upkeep.compact()

        loop.add_signal_handler(HURRY, lambda: running.add(loop.create_task(hurry())))
        running.add(loop.create_task(merge()))
        return calendar(upkeep)

    return make


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="watchdesk_collector.cli.selftest.collector_process", description="A collector under test.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--kill-at", type=Step, choices=list(Step), metavar="STEP", help="what history has just done when the process kills itself")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="and how many times; default 1")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
