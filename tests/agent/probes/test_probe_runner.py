import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from fakes import FakeClock
from watchdesk_agent.clock import SystemClock
from watchdesk_agent.model import TimedRow
from watchdesk_agent.probes.attempt import Attempt
from watchdesk_agent.probes.config import ProbeConfig, ProbeKind
from watchdesk_agent.probes.runner import ProbeRunner

DEADLINE_S = 20.0


@dataclass
class Rows:
    """What arrived, and a way to wait for more."""

    rows: list[TimedRow] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, row: TimedRow) -> None:
        with self.changed:
            self.rows.append(row)
            self.changed.notify_all()

    def of(self, name: str) -> list[TimedRow]:
        return [row for row in self.rows if row[1][0] == name]

    def wait_for(self, name: str, count: int) -> list[TimedRow]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.of(name)) >= count, DEADLINE_S)
            return self.of(name)


def tcp(name: str, port: int, interval: float = 0.1) -> ProbeConfig:
    return ProbeConfig(name=name, kind=ProbeKind.TCP, target=f"127.0.0.1:{port}", interval=interval, timeout=interval)


def test_each_attempt_is_a_row_at_its_slot(servers: Any) -> None:
    rows = Rows()
    runner = ProbeRunner(probes=[tcp("open", servers.http({})), tcp("closed", servers.closed_port())], clock=SystemClock())
    runner.start(rows.take)
    opened, closed = rows.wait_for("open", 3), rows.wait_for("closed", 3)
    runner.stop()
    assert all(ts % 100_000 == 0 for ts, _ in opened + closed)
    assert len({ts for ts, _ in opened}) == len(opened)
    assert {row[3] for _, row in opened} == {1}
    assert {row[3] for _, row in closed} == {0}


class Hanging:
    """A prober whose resolver does not come back."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.attempts = 0

    def attempt(self, attempt: Attempt) -> None:
        self.attempts += 1
        self.release.wait(DEADLINE_S)


def test_a_target_that_hangs_costs_only_itself_and_fails_in_every_slot(servers: Any) -> None:
    rows, hanging = Rows(), Hanging()
    runner = ProbeRunner(probes=[tcp("hangs", 1), tcp("open", servers.http({}))], clock=SystemClock(), probers={"hangs": hanging})
    runner.start(rows.take)
    failures = rows.wait_for("hangs", 3)
    rows.wait_for("open", 3)
    runner.stop()
    hanging.release.set()
    assert hanging.attempts == 1
    assert {row[3] for _, row in failures} == {0}
    assert all("still hangs" in str(row[-1]) for _, row in failures)


class Defective:
    def attempt(self, attempt: Attempt) -> None:
        raise ValueError("strange answer")


def test_a_defect_of_a_prober_fails_its_probe_and_goes_on() -> None:
    rows = Rows()
    runner = ProbeRunner(probes=[tcp("odd", 1)], clock=SystemClock(), probers={"odd": Defective()})
    runner.start(rows.take)
    [first, second] = rows.wait_for("odd", 2)[:2]
    runner.stop()
    assert first[1][-1] == second[1][-1] == "a defect of the agent: ValueError: strange answer"


def test_stop_does_not_wait_for_targets_and_no_row_comes_after_it() -> None:
    rows, hanging = Rows(), Hanging()
    runner = ProbeRunner(probes=[tcp("hangs", 1)], clock=SystemClock(), probers={"hangs": hanging})
    runner.start(rows.take)
    rows.wait_for("hangs", 1)
    runner.stop()
    before = len(rows.rows)
    hanging.release.set()
    for thread in [thread for thread in threading.enumerate() if thread.name == "probe hangs"]:
        thread.join(DEADLINE_S)
    assert len(rows.rows) == before


def test_without_probes_there_is_no_thread() -> None:
    before = threading.active_count()
    runner = ProbeRunner(probes=[], clock=FakeClock())
    runner.start(lambda _: None)
    assert threading.active_count() == before
    runner.stop()


def test_an_agent_without_http_probes_does_not_load_ssl() -> None:
    code = (
        "import sys; from watchdesk_agent.clock import SystemClock; from watchdesk_agent.probes.config import ProbeConfig, ProbeKind;"
        "from watchdesk_agent.probes.runner import ProbeRunner; import watchdesk_agent.sampling;"
        "ProbeRunner(probes=[ProbeConfig(name='a', kind=ProbeKind.TCP, target='a:1')], clock=SystemClock()); sys.exit('ssl' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
