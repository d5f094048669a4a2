"""Every cause of a gap is brought about, one after the other, and then history's word is compared with what was done, and slot by slot with its rows.

The agent reaches the collector through a relay. Which slots hold no sample is read from the measurements themselves: those, each once and no others,
must stand in `gap`; and for each measurement expected = stored + missing.

    .venv/bin/python tests/e2e/gaps.py --outage 70s
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from harness import HOST, Report, Site, finish, parser, site
from watchdesk_collector.cli.demo.programs import Program, command_path
from watchdesk_collector.cli.selftest.relay import Relay
from watchdesk_proto.settings import parse_duration

SMALL_SPOOL = "16KiB"  # some ten seconds
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SLACK = timedelta(seconds=3)  # a flush, a slot, and the time that starting takes to note

TOLD = f"""
SELECT cause, min(ts) AS first, max(until) AS last, sum(expected)::BIGINT AS slots, any_value(reason) AS reason
FROM gap WHERE host = '{HOST}' AND measurement = 'cpu'
GROUP BY cause ORDER BY first
"""
SUMS = f"""
WITH counted AS (
    SELECT measurement, sum(expected)::BIGINT AS expected, sum(stored)::BIGINT AS stored
    FROM completeness WHERE host = '{HOST}' GROUP BY measurement
), missing AS (
    SELECT measurement, sum(expected - stored)::BIGINT AS missing FROM gap WHERE host = '{HOST}' GROUP BY measurement
)
SELECT measurement, expected, stored, coalesce(missing, 0) AS missing, expected - stored - coalesce(missing, 0) AS unexplained
FROM counted LEFT JOIN missing USING (measurement) ORDER BY measurement
"""
SLOTS = """
WITH held AS (
    SELECT DISTINCT ts FROM {measurement} WHERE host = '{host}'
), told AS (
    SELECT unnest(generate_series(ts, until - INTERVAL {interval} SECOND, INTERVAL {interval} SECOND)) AS ts
    FROM gap WHERE host = '{host}' AND measurement = '{measurement}'
), due AS (
    SELECT unnest(generate_series(min(ts), max(ts), INTERVAL {interval} SECOND)) AS ts FROM (FROM held UNION ALL FROM told)
), missing AS (
    SELECT ts FROM due EXCEPT SELECT ts FROM held
)
SELECT (SELECT count(*) FROM missing) AS missing,
       (SELECT count(*) FROM told) AS told,
       (SELECT count(*) FROM (SELECT ts FROM missing EXCEPT SELECT ts FROM told)) AS untold,
       (SELECT count(*) FROM (SELECT ts FROM told EXCEPT SELECT ts FROM missing)) AS untrue
"""


SHOWN_FROM_S = 65.0  # of an open gap; see `attendance.SILENT_US`
OPEN = {"silent", "network_cut", "collector_down"}


@dataclass(frozen=True)
class Done:
    """What was done, and between when and when; a gap of this cause should be as long, give or take `SLACK`."""

    cause: str
    since: datetime
    until: datetime


class Stage:
    """A site whose agent reaches the collector through a relay, and what was done to it."""

    def __init__(self, here: Site, relay: Relay, report: Report, *, outage_s: float) -> None:
        self.here = here
        self.outage_s = outage_s
        self.relay = relay
        self.report = report
        self.done: list[Done] = []
        self.edit("agent", f'"{here.grpc_address}"', f'"127.0.0.1:{relay.port}"')
        self.edit("collector", "[ingest]\n", '[ingest]\ncommit_interval = "1s"\n')  # so that what is on its way can be seen

    def edit(self, program: str, old: str, new: str) -> None:
        """Change a configuration file, for the program's next start."""
        config = self.here.directory / f"{program}.toml"
        text = config.read_text()
        assert old in text
        config.write_text(text.replace(old, new))

    @contextmanager
    def noting(self, cause: str) -> Iterator[None]:
        """What happens meanwhile should become a gap of this cause."""
        since = datetime.now(UTC)
        yield
        self.done.append(Done(cause, since, datetime.now(UTC)))

    def settle(self) -> None:
        """Until a sample of now is stored, nothing is unsent, and what was lost is told."""
        fresh = f"SELECT count(*) FROM cpu WHERE host = '{HOST}' AND ts >= TIMESTAMPTZ '{datetime.now(UTC).isoformat()}'"
        self.here.wait("a sample of now", lambda: self.here.number(fresh) or None, timeout_s=90)
        self.here.wait("the telling of losses", lambda: not self.here.spool("SELECT 1 FROM lost UNION ALL SELECT 1 FROM dropped") or None)
        self.here.wait("the backlog", lambda: self.here.unsent_batches() <= 2 or None, timeout_s=90)

    def open_causes(self) -> set[str]:
        return {cause for (cause,) in self.here.rows(f"SELECT DISTINCT cause FROM gap WHERE host = '{HOST}' AND measurement = 'cpu'")} & OPEN

    def claim_seen(self, cause: str, *, within_s: float) -> None:
        """The open gap shows itself, unless it is so short that history still waits for its samples."""
        if self.outage_s < SHOWN_FROM_S:
            return
        self.here.wait(f"a gap of cause {cause}", lambda: cause in self.open_causes() or None, timeout_s=within_s)
        self.report.claim(f"while it lasts there is a gap, and its cause is {cause}", True)

    def claim_filled(self) -> None:
        self.settle()
        self.here.wait("the end of open gaps", lambda: not self.open_causes() or None, timeout_s=90)
        self.report.claim("the gap is gone once the samples have arrived", True)


def run(outage_s: float, *, down_s: float = 8.0) -> Report:
    report = Report("What is missing, and why")
    with site() as here, Relay(int(here.grpc_address.rpartition(":")[2]), random=Random(1)) as relay:
        stage = Stage(here, relay, report, outage_s=outage_s)
        here.start()
        time.sleep(3)
        kill_the_agent(stage, down_s)
        reboot_the_host(stage, down_s)
        stop_the_agent_without_ending_it(stage, down_s)
        cut_the_network(stage, outage_s)
        stop_the_collector(stage, outage_s)
        overflow_the_spool(stage, max(25.0, outage_s / 2))
        refuse_what_is_large(stage, down_s)
        here.agent.stop()
        prove(stage)
    return report


def kill_the_agent(stage: Stage, seconds: float) -> None:
    stage.report.figure("the agent is killed, and started again after", f"{seconds:g} s")
    with stage.noting("agent_down"):
        stage.here.agent.kill()
        time.sleep(seconds)
        stage.here.start_agent()
    stage.settle()


def reboot_the_host(stage: Stage, seconds: float) -> None:
    """The agent sees another boot id: in a mount namespace of its own, a file lies over the kernel's."""
    if os.geteuid() != 0:
        stage.report.figure("skipped, for it needs root", "host_down")
        return
    stage.report.figure("the host is booted, and the agent started after", f"{seconds:g} s")
    fake = stage.here.directory / "boot_id"
    fake.write_text("another boot\n")
    command: list[str | Path] = [command_path("watchdesk-agent"), "run", "--config", stage.here.directory / "agent.toml"]
    mount = f'mount --bind {fake} {BOOT_ID} && exec "$@"'
    with stage.noting("host_down"):
        stage.here.agent.kill()
        time.sleep(seconds)
        stage.here.agent = Program(
            name="watchdesk-agent", command=["unshare", "--mount", "sh", "-c", mount, "sh", *command], log=stage.here.directory / "agent.log"
        )
        stage.here.start_agent()
    stage.settle()


def stop_the_agent_without_ending_it(stage: Stage, seconds: float) -> None:
    stage.report.figure("the agent gets no processor (SIGSTOP) for", f"{seconds:g} s")
    with stage.noting("agent_overload"):
        os.kill(stage.here.agent.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(stage.here.agent.pid, signal.SIGCONT)
    stage.settle()


def cut_the_network(stage: Stage, seconds: float) -> None:
    stage.report.figure("the network is cut for", f"{seconds:g} s")
    stage.relay.cut()
    time.sleep(seconds)
    stage.claim_seen("silent", within_s=20)
    stage.relay.heal()
    stage.claim_seen("network_cut", within_s=20)
    stage.claim_filled()


def stop_the_collector(stage: Stage, seconds: float) -> None:
    stage.report.figure("the collector is down for", f"{seconds:g} s")
    stage.here.collector.stop()
    time.sleep(seconds)
    stage.relay.cut()  # so that the question comes before the agent
    stage.here.start_collector()
    stage.claim_seen("collector_down", within_s=20)
    stage.relay.heal()
    stage.claim_filled()


def overflow_the_spool(stage: Stage, seconds: float) -> None:
    stage.report.figure(f"the network is cut, and the spool holds no more than {SMALL_SPOOL}, for", f"{seconds:g} s")
    stage.here.agent.stop()
    stage.here.configure(agent=f'[spool]\nmax_bytes = "{SMALL_SPOOL}"\n')
    stage.here.start_agent()
    stage.settle()
    with stage.noting("spool_overflow"):
        stage.relay.cut()
        time.sleep(seconds)
    stage.relay.heal()
    stage.settle()
    stage.here.agent.stop()
    stage.edit("agent", f'"{SMALL_SPOOL}"', '"256MiB"')
    stage.here.start_agent()
    stage.settle()


def refuse_what_is_large(stage: Stage, seconds: float) -> None:
    stage.report.figure("the collector is away, and then takes only small batches, for", f"{seconds:g} s")
    with stage.noting("rejected"):
        stage.here.collector.stop()
        time.sleep(seconds)
        stage.edit("collector", "[ingest]\n", '[ingest]\nmax_batch_bytes = "1KiB"\n')
        stage.here.start_collector()
        stage.settle()


def prove(stage: Stage) -> None:
    """Of the whole time, with the agent stopped, so that all that there is stands still."""
    here, report = stage.here, stage.report
    print(TOLD)
    told = {cause: (_time(first), _time(last), slots, reason) for cause, first, last, slots, reason in here.rows(TOLD)}
    for cause, (first, last, slots, reason) in told.items():
        report.figure(f"cpu, {cause}", f"{first:%H:%M:%S} to {last:%H:%M:%S}, {slots} slots{f', {reason}' if reason else ''}")
    for done in stage.done:
        first, last, slots, _ = told.get(done.cause, (done.until, done.since, 0, None))
        within = done.since - SLACK <= first and (last <= done.until + SLACK or done.cause == "agent_down") and slots > 0
        report.claim(f"{done.cause} is told, of {done.since:%H:%M:%S} to {done.until:%H:%M:%S}", within)
    report.claim("nothing is left open", not OPEN & told.keys())
    print(SUMS)
    for measurement, expected, stored, missing, unexplained in here.rows(SUMS):
        report.figure(f"{measurement}: expected, stored, missing", f"{expected}, {stored}, {missing}")
        report.claim(f"{measurement}: what is expected is stored or missing for a cause", unexplained == 0 and stored > 0)
    for measurement, interval in (("cpu", 1), ("cpu_core", 1), ("memory", 1), ("network", 1), ("disk", 10), ("agent", 10)):
        [[missing, told_slots, untold, untrue]] = here.rows(SLOTS.format(measurement=measurement, interval=interval, host=HOST))
        report.claim(
            f"{measurement}: the {missing} slots without a row are the {told_slots} that gap tells", untold == untrue == 0 and missing == told_slots
        )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument(
        "--outage",
        type=parse_duration,
        default=300.0,
        help="how long network and collector are away; default 5m; below 65s no open gap shows",
    )
    finish(run(options.parse_args().outage))
