"""cpu_core: how each processor spends its time.

**Source**: the `cpuN` lines of `/proc/stat` (proc(5)): the processors that are online.
"""

import os
from collections.abc import Mapping, Sequence

from watchdesk_proto.catalogue import Measurement, label

from watchdesk_agent.model import Instant, Row
from watchdesk_agent.sampling.context import SamplingContext
from watchdesk_agent.sampling.cpu import Ticks, columns, measure_cpu, parse_ticks

MEASUREMENT = Measurement(
    name="cpu_core",
    help="How each processor spends its time. Ratios span the time since the previous sample.",
    columns=(label("core", "The processor's number in the kernel, from 0."), *columns("this processor")),
)


def parse_cores(stat: str) -> dict[str, Ticks]:
    """Ticks by the processor's number."""
    cores = {}
    for line in stat.splitlines()[1:]:
        if not line.startswith("cpu"):
            break
        cores[line[3 : line.index(" ")]] = parse_ticks(line)
    return cores


def measure_cores(now: Mapping[str, Ticks], before: Mapping[str, Ticks], *, ticks_per_second: int) -> list[Row]:
    """One row per processor that is online now."""
    return [(core, *measure_cpu(ticks, before.get(core), ticks_per_second=ticks_per_second)) for core, ticks in now.items()]


class CpuCoreSampler:
    """Holds the previous reading."""

    name = "cpu_core"
    measurement = MEASUREMENT
    interval_s = 1.0
    may_block = False

    def __init__(self, context: SamplingContext) -> None:
        self._stat = context.stat
        self._ticks_per_second = os.sysconf("SC_CLK_TCK")
        self._before: Mapping[str, Ticks] = {}

    def sample(self, at: Instant) -> Sequence[Row]:
        now = parse_cores(self._stat.read(at))
        rows = measure_cores(now, self._before, ticks_per_second=self._ticks_per_second)
        self._before = now
        return rows
