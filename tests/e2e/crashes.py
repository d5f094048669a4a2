"""kill -9 of the collector while it ingests and of the agent while it sends, again and again, with a program that writes numbered error lines all the
while. Afterwards nothing that was acked is lost and nothing is doubled, log lines included.

    .venv/bin/python tests/e2e/crashes.py --kills 20
"""

import random
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from harness import Acked, Report, Site, finish, parser, site

LINES_PER_SECOND = 50


class Writer:
    """Appends numbered error lines to a log, as a program would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, name="writer")

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        with self.path.open("a", buffering=1) as log:
            while not self._ended.wait(1 / LINES_PER_SECOND):
                self.lines += 1
                log.write(f"{datetime.now(UTC).isoformat()} ERROR writer: line {self.lines}\n")


def run(kills: int) -> Report:
    report = Report(f"kill -9: {kills} times the collector during ingest, {kills} times the agent during send")
    with site(flush_interval="200ms") as here, Acked(here) as acked, Writer(here.application_log) as writer:
        here.start()
        for _ in range(kills):
            _wait_for_batches_under_way(here)
            here.collector.kill()
            time.sleep(random.uniform(0.1, 1.5))
            here.start_collector()
        report.figure("collector killed", f"{kills} times")
        for _ in range(kills):
            _wait_for_batches_under_way(here)
            here.agent.kill()
            time.sleep(random.uniform(0.1, 1.0))
            here.start_agent()
            _wait_for_samples_after(here, time.time())
        report.figure("agent killed", f"{kills} times")
        writer.stop()
        here.wait("every line", lambda: here.number("SELECT count(*) FROM log WHERE source = 'application'") >= writer.lines)
        here.wait("an empty spool", lambda: here.unsent_batches() <= 1)
        here.agent.stop()
        _account(here, report, acked=acked.batches(), lines=writer.lines)
    return report


def _wait_for_batches_under_way(here: Site) -> None:
    """Return some tenths of a second after a batch was spooled: before, in or after the collector's commit of it."""
    here.wait("a batch under way", lambda: here.unsent_batches() > 0)
    time.sleep(random.uniform(0.0, 0.4))


def _wait_for_samples_after(here: Site, at_s: float) -> None:
    here.wait("the agent's next sample", lambda: here.number(f"SELECT count(*) FROM cpu WHERE epoch(ts) > {at_s}") > 0)


def _account(here: Site, report: Report, *, acked: set[tuple[int, int]], lines: int) -> None:
    stored = {(epoch, seq) for epoch, seq in here.rows("SELECT epoch, seq FROM batch WHERE outcome = 'stored'")}
    twice = here.rows("SELECT epoch, seq FROM batch GROUP BY epoch, seq HAVING count(*) > 1")
    report.figure("batches seen as acked, of these stored", f"{len(acked)}, {len(acked & stored)}")
    report.claim("no acked batch is lost", acked <= stored)
    report.claim("no batch is stored twice", not twice)

    there, different = here.rows("SELECT count(*), count(DISTINCT message) FROM log WHERE source = 'application'")[0]
    report.figure("log lines written, stored, different", f"{lines}, {there}, {different}")
    report.claim("every log line is there exactly once", lines == there == different)

    slots, doubled = here.rows("SELECT count(*), count(*) - count(DISTINCT ts) FROM cpu")[0]
    report.figure("samples of cpu, of these doubled", f"{slots}, {doubled}")
    report.claim("no sample of cpu is there twice", doubled == 0)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=20, help="of each program; default 20")
    finish(run(options.parse_args().kills))
