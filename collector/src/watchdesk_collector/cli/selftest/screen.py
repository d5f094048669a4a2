"""How a run is shown: a bar on a terminal, a line per round elsewhere; findings at once, in both."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from watchdesk_collector.cli.selftest.oracle import Finding


class Screen(Protocol):
    """What a run tells as it goes."""

    def begin(self, what: str) -> None:
        """Say what happens now."""
        ...

    def end_round(self, kind: str, seconds: float, findings: Sequence[Finding]) -> None:
        """One more round is over."""
        ...


@contextmanager
def shown(rounds: int) -> Iterator[Screen]:
    """The screen for this output."""
    if not sys.stdout.isatty():
        yield Lines(rounds)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        yield Bar(progress, rounds)


class Lines:
    """For a pipe or a log."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._ended = 0

    def begin(self, what: str) -> None:
        """A line for a round comes when it has ended."""

    def end_round(self, kind: str, seconds: float, findings: Sequence[Finding]) -> None:
        self._ended += 1
        print(f"{self._ended:>4}/{self._rounds}  {kind:<24} {seconds:5.1f} s  {'FOUND' if findings else 'whole'}", flush=True)
        for finding in findings:
            print(f"           {finding}", flush=True)


class Bar:
    """For a terminal."""

    def __init__(self, progress: Progress, rounds: int) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=rounds)

    def begin(self, what: str) -> None:
        self._progress.update(self._task, description=f"{what:<24}")

    def end_round(self, kind: str, seconds: float, findings: Sequence[Finding]) -> None:
        self._progress.advance(self._task)
        for finding in findings:
            self._progress.console.print(f"{kind}: {finding}", style="bold red", markup=False)
