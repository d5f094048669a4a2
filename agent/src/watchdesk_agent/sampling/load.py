"""load: how many tasks want to run, and how busily the kernel switches between them.

**Source**: `/proc/loadavg` and `/proc/stat` (proc(5)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from watchdesk_proto.catalogue import Measurement, Type, counter, gauge

from watchdesk_agent.model import Instant, Row
from watchdesk_agent.sampling.context import SamplingContext, read_text
from watchdesk_agent.sampling.rates import RATIO_DIGITS, per_second

MEASUREMENT = Measurement(
    name="load",
    help="How many tasks want to run, and how busily the kernel switches between them.",
    columns=(
        gauge("load1", "Load average over 1 minute: tasks that run or wait for a processor or a disk."),
        gauge("load5", "Load average over 5 minutes."),
        gauge("load15", "Load average over 15 minutes."),
        gauge("load1_per_cpu", "load1 divided by the number of processors: above 1, tasks wait."),
        gauge("load5_per_cpu", "load5 divided by the number of processors."),
        gauge("load15_per_cpu", "load15 divided by the number of processors."),
        gauge("cpus", "Processors that are online.", type=Type.INT64),
        gauge("running", "Threads that run or are ready to run.", type=Type.INT64),
        gauge("blocked", "Threads that wait for input or output and cannot be interrupted.", type=Type.INT64),
        gauge("threads", "Threads that exist, those of the kernel included.", type=Type.INT64),
        counter("context_switches_total", "Switches from one thread to another."),
        counter("forks_total", "Processes and threads started."),
        gauge("context_switches_per_second", "Switches from one thread to another, per second since the previous sample."),
        gauge("forks_per_second", "Processes and threads started, per second since the previous sample."),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One reading."""

    averages: tuple[float, float, float]
    cpus: int
    running: int
    blocked: int
    threads: int
    context_switches: int
    forks: int
    monotonic_s: float


def parse_load(loadavg: str, stat: str, *, monotonic_s: float) -> Load:
    """`running` comes from /proc/stat, which counts over all processors at once."""
    one, five, fifteen, tasks = loadavg.split()[:4]
    lines = stat.splitlines()
    by_name = {name: rest for name, _, rest in (line.partition(" ") for line in lines)}
    return Load(
        averages=(float(one), float(five), float(fifteen)),
        cpus=sum(name.startswith("cpu") for name in by_name) - 1,
        running=int(by_name["procs_running"]),
        blocked=int(by_name["procs_blocked"]),
        threads=int(tasks.partition("/")[2]),
        context_switches=int(by_name["ctxt"]),
        forks=int(by_name["processes"]),
        monotonic_s=monotonic_s,
    )


def measure_load(now: Load, before: Load | None) -> Row:
    """Without an earlier reading no time has passed, so rates are None."""
    before = before or now
    elapsed_s = now.monotonic_s - before.monotonic_s
    return (
        *now.averages,
        *(round(average / now.cpus, RATIO_DIGITS) for average in now.averages),
        now.cpus,
        now.running,
        now.blocked,
        now.threads,
        now.context_switches,
        now.forks,
        per_second(now.context_switches, before.context_switches, elapsed_s),
        per_second(now.forks, before.forks, elapsed_s),
    )


class LoadSampler:
    """Holds the previous reading."""

    name = "load"
    measurement = MEASUREMENT
    interval_s = 1.0
    may_block = False

    def __init__(self, context: SamplingContext) -> None:
        self._loadavg = context.proc_root / "loadavg"
        self._stat = context.stat
        self._before: Load | None = None

    def sample(self, at: Instant) -> Sequence[Row]:
        now = parse_load(read_text(self._loadavg), self._stat.read(at), monotonic_s=at.monotonic_s)
        row = measure_load(now, self._before)
        self._before = now
        return [row]
