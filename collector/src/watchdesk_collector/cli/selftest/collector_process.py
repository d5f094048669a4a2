"""The collector under test: the real one, which ends itself in the middle of history's work when told to. For `watchdesk selftest`.

    python -m watchdesk_collector.cli.selftest.collector_process --config FILE [--kill-at STEP --count N]

Invariant: it ends by SIGKILL of its own at that step alone, so that whoever waits for it knows that the step was hit.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when it is imported

from watchdesk_collector.app import StartError, run
from watchdesk_collector.config import read_config
from watchdesk_collector.history.steps import Step, Steps, pass_by


class KillAt:
    """Kills its own process when a step is passed for the nth time. Steps are passed on several threads."""

    def __init__(self, step: Step, *, count: int) -> None:
        self._step = step
        self._left = count
        self._lock = threading.Lock()

    def __call__(self, step: Step) -> None:
        if step is not self._step:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """As `watchdesk-collector run`."""
    options = _parse(arguments)
    steps: Steps = KillAt(options.kill_at, count=options.count) if options.kill_at else pass_by
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        asyncio.run(run(read_config(options.config), steps=steps))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="watchdesk_collector.cli.selftest.collector_process", description="A collector under test.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--kill-at", type=Step, choices=list(Step), metavar="STEP", help="what history has just done when the process kills itself")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="and how many times; default 1")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
