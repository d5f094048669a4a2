"""Programs that log errors: numbered lines appended to the log that each agent follows, the oracle's witness that no agent can influence."""

import bisect
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

EVERY_S = 0.05
SOURCE = "application"


class LineWriter:
    """Appends a line to each log every `EVERY_S`, numbered from 1, while it runs."""

    def __init__(self, logs: Sequence[Path]) -> None:
        self.lines = 0
        self._logs = [log.open("a", buffering=1, encoding="utf-8") for log in logs]
        self._firsts: list[int] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, name="line writer")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No line is written after this; stopping twice does nothing."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for log in self._logs:
            log.close()

    def note_round(self) -> None:
        """A round begins: what is written from now on belongs to it."""
        self._firsts.append(self.lines + 1)

    def round_of(self, number: int) -> int:
        """The round, from 1, in which a line was written; 0 before the first."""
        return bisect.bisect_right(self._firsts, number)

    def write_line(self) -> None:
        """The next line, to each log."""
        number = self.lines + 1
        for log in self._logs:
            log.write(f"{datetime.now(UTC).isoformat()} ERROR writer: line {number}\n")
        self.lines = number

    def _write(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.write_line()
