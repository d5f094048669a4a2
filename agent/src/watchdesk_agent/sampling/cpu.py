"""cpu: how the host's processors spend their time, all together.

**Source**: `/proc/stat`, first line (proc(5)). The kernel counts guests' time inside `user`, and guests' niced time inside `nice`, so the
ratios of the modes without `guest` add up to 1.
"""

import os
from collections.abc import Sequence
from typing import TypeAlias

from watchdesk_proto.catalogue import Column, Measurement, Type, counter, gauge

from watchdesk_agent.model import Instant, Row, Value
from watchdesk_agent.sampling.context import SamplingContext
from watchdesk_agent.sampling.rates import RATIO_DIGITS

Ticks: TypeAlias = tuple[int, ...]
"""Clock ticks per mode since boot, in the order of `MODES`."""

MODES = {
    "user": "running programs (guests included)",
    "nice": "running programs of lowered priority",
    "system": "in the kernel",
    "idle": "doing nothing",
    "iowait": "doing nothing while input or output is pending",
    "irq": "serving interrupts",
    "softirq": "serving soft interrupts, such as network packets",
    "steal": "waiting because the hypervisor ran somebody else",
    "guest": "running virtual machines (a part of user and nice)",
}
_HAS_NICED_GUESTS = 10
_WHOLE = 8  # the modes before guest, which the kernel already counts in user and nice
_MAY_STEP_BACK = frozenset({"idle", "iowait"})
_LARGEST_STEP_BACK = 100


def columns(of: str) -> tuple[Column, ...]:
    """The fields for the time of `of` ("all processors")."""
    return (
        gauge("busy_ratio", f"Share of the time of {of} that was neither idle nor iowait.", unit="ratio"),
        *(gauge(f"{mode}_ratio", f"Share of the time of {of} spent {doing}.", unit="ratio") for mode, doing in MODES.items()),
        *(counter(f"{mode}_seconds_total", f"Time that {of} spent {doing}.", unit="seconds", type=Type.FLOAT64) for mode, doing in MODES.items()),
    )


MEASUREMENT = Measurement(
    name="cpu",
    help="How the host's processors spend their time, all together. Ratios span the time since the previous sample.",
    columns=columns("all processors"),
)


def parse_ticks(line: str) -> Ticks:
    """One `cpu…` line. Kernels before 2.6.33 know fewer modes: those are 0."""
    numbers = [int(word) for word in line.split()[1:]]
    numbers += [0] * (_HAS_NICED_GUESTS - len(numbers))
    return (*numbers[:_WHOLE], numbers[8] + numbers[9])


def measure_cpu(now: Ticks, before: Ticks | None, *, ticks_per_second: int) -> tuple[Value, ...]:
    """Busy ratio, a ratio per mode, seconds per mode. Without an earlier reading, or with one that the counters fell behind, ratios are None."""
    spent = _spent(now, before)
    whole = sum(spent[:_WHOLE]) if spent else 0
    seconds = [ticks / ticks_per_second for ticks in now]
    if not spent or not whole:
        return (None, *(None for _ in MODES), *seconds)
    ratios = dict(zip(MODES, (round(ticks / whole, RATIO_DIGITS) for ticks in spent), strict=True))
    return (round(1.0 - ratios["idle"] - ratios["iowait"], RATIO_DIGITS), *ratios.values(), *seconds)


def _spent(now: Ticks, before: Ticks | None) -> tuple[int, ...] | None:
    """Ticks per mode since the earlier reading; None after a reset. idle and iowait may step back a little (proc(5)): that counts as nothing."""
    if before is None:
        return None
    spent = []
    for mode, ticks, earlier in zip(MODES, now, before, strict=True):
        grown = ticks - earlier
        if grown < 0 and not (mode in _MAY_STEP_BACK and grown >= -_LARGEST_STEP_BACK):
            return None
        spent.append(max(0, grown))
    return tuple(spent)


class CpuSampler:
    """Holds the previous reading."""

    name = "cpu"
    measurement = MEASUREMENT
    interval_s = 1.0
    may_block = False

    def __init__(self, context: SamplingContext) -> None:
        self._stat = context.stat
        self._ticks_per_second = os.sysconf("SC_CLK_TCK")
        self._before: Ticks | None = None

    def sample(self, at: Instant) -> Sequence[Row]:
        now = parse_ticks(self._stat.read(at).partition("\n")[0])
        row = measure_cpu(now, self._before, ticks_per_second=self._ticks_per_second)
        self._before = now
        return [row]
