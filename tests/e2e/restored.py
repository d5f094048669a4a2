"""An agent's state directory is set back to an old copy, again and again, in the ways that backups are put back, with a program that writes numbered
error lines all the while; at times the collector is away when the agent comes back. Afterwards every line is there exactly once.

    .venv/bin/python tests/e2e/restored.py --times 10
"""

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from crashes import Writer
from harness import Report, Site, finish, parser, site

LINES = "SELECT count(*) FROM log WHERE source = 'application'"


def put_back_anew(copy: Path, state: Path) -> None:
    shutil.rmtree(state)
    subprocess.run(["cp", "-a", copy, state], check=True)


def put_back_over_the_files(copy: Path, state: Path) -> None:
    for rest in state.glob("spool.db-*"):
        rest.unlink()
    subprocess.run(["cp", "-a", f"{copy}/.", state], check=True)


def put_back_from_an_archive(copy: Path, state: Path) -> None:
    shutil.rmtree(state)
    state.mkdir(mode=0o700)
    subprocess.run(f"tar -C {copy} -cf - . | tar -C {state} -xf -", shell=True, check=True)


WAYS: tuple[Callable[[Path, Path], None], ...] = (put_back_anew, put_back_over_the_files, put_back_from_an_archive)


def run(times: int) -> Report:
    report = Report(f"The agent's state directory is set back to an old copy, {times} times")
    with site(flush_interval="200ms") as here, Writer(here.application_log) as writer:
        here.start()
        for number in range(times):
            _wait_for_lines(here, 20)
            copy = _copy(here, number)
            _wait_for_lines(here, 50)
            here.agent.kill()
            WAYS[number % len(WAYS)](copy, here.agent_state)
            _come_back(here, without_collector=number % 2 == 1)
        writer.stop()
        here.wait("every line", lambda: here.number(LINES) >= writer.lines)
        here.wait("an empty spool", lambda: here.unsent_batches() <= 1)
        here.agent.stop()
        _account(here, report, lines=writer.lines, times=times)
    return report


def _wait_for_lines(here: Site, more: int) -> None:
    known = here.number(LINES)
    here.wait("further lines", lambda: here.number(LINES) >= known + more)


def _copy(here: Site, number: int) -> Path:
    """As an agent leaves it that was killed while it spooled."""
    copy = here.directory / f"copy-{number}"
    time.sleep(random.uniform(0.0, 0.3))
    here.agent.kill()
    subprocess.run(["cp", "-a", here.agent_state, copy], check=True)
    here.start_agent()
    return copy


def _come_back(here: Site, *, without_collector: bool) -> None:
    if without_collector:
        here.collector.kill()
    here.start_agent()
    if without_collector:
        time.sleep(2.0)
        here.start_collector()


def _account(here: Site, report: Report, *, lines: int, times: int) -> None:
    there, different = here.rows("SELECT count(*), count(DISTINCT message) FROM log WHERE source = 'application'")[0]
    report.figure("log lines written, stored, different", f"{lines}, {there}, {different}")
    report.claim("every log line is there exactly once", lines == there == different)
    told = here.agent.log.read_text(encoding="utf-8")
    copies = told.count("the state directory was copied or restored")
    read_on = told.count("are read on from where the collector stands")
    report.figure("copies noticed, of these read on where the collector stood", f"{copies}, {read_on}")
    report.claim("each copy was noticed, and told", copies == times == read_on)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--times", type=int, default=10)
    finish(run(options.parse_args().times))
