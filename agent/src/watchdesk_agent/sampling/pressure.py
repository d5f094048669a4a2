"""pressure: how much work stands still for want of a processor, memory or disk.

**Source**: `/proc/pressure/*` (Documentation/accounting/psi.rst of the kernel). A kernel without it, or one that was booted with psi=0, gives no
rows; the log says so once.
"""

import errno
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.catalogue import Measurement, Type, counter, gauge, label

from watchdesk_agent.model import Instant, Row, Value
from watchdesk_agent.sampling.context import SamplingContext, read_text
from watchdesk_agent.sampling.rates import RATIO_DIGITS, per_second

logger = logging.getLogger(__name__)

_KINDS = {"some": "at least one task", "full": "every task that could have run"}

MEASUREMENT = Measurement(
    name="pressure",
    help="How much work stands still for want of a resource (PSI). No rows where the kernel does not offer it.",
    columns=(
        label("resource", "cpu, memory or io."),
        *(
            gauge(f"{kind}_ratio", f"Share of the time since the previous sample in which {who} waited for the resource.", unit="ratio")
            for kind, who in _KINDS.items()
        ),
        *(
            gauge(f"{kind}_avg{span}_ratio", f"Share of the last {span} seconds in which {who} waited, averaged by the kernel.", unit="ratio")
            for kind, who in _KINDS.items()
            for span in (10, 60, 300)
        ),
        *(counter(f"{kind}_seconds_total", f"Time in which {who} waited.", unit="seconds", type=Type.FLOAT64) for kind, who in _KINDS.items()),
    ),
)

_RESOURCES = ("cpu", "memory", "io")
_ABSENT = frozenset({errno.ENOENT, errno.EOPNOTSUPP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """One line of a pressure file."""

    averages: tuple[float, float, float]
    seconds_total: float


def parse_pressure(text: str) -> dict[str, Stall]:
    """By kind: "some" and, but for cpu before Linux 5.13, "full"."""
    stalls = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        ten, sixty, three_hundred, total = (float(pair.partition("=")[2]) for pair in pairs)
        averages = (round(ten / 100, 4), round(sixty / 100, 4), round(three_hundred / 100, 4))  # percent, with two digits
        stalls[kind] = Stall(averages=averages, seconds_total=total / 1_000_000)
    return stalls


def measure_pressure(now: Mapping[str, Mapping[str, Stall]], before: Mapping[str, Mapping[str, Stall]], elapsed_s: float) -> list[Row]:
    """One row per resource."""
    return [(resource, *_fields(stalls, before.get(resource, {}), elapsed_s)) for resource, stalls in now.items()]


def _fields(now: Mapping[str, Stall], before: Mapping[str, Stall], elapsed_s: float) -> Sequence[Value]:
    some, full = now["some"], now.get("full")
    return (
        _share(some, before.get("some"), elapsed_s),
        _share(full, before.get("full"), elapsed_s),
        *some.averages,
        *(full.averages if full else (None,) * 3),
        some.seconds_total,
        full and full.seconds_total,
    )


def _share(now: Stall | None, before: Stall | None, elapsed_s: float) -> float | None:
    if now is None or before is None:
        return None
    share = per_second(now.seconds_total, before.seconds_total, elapsed_s, digits=RATIO_DIGITS)
    return None if share is None else min(1.0, share)


def read_pressure(pressure: Path) -> dict[str, str]:
    """Text by resource; empty where the kernel does not offer it. **Errors**: OSError for any other reason."""
    try:
        return {resource: read_text(pressure / resource) for resource in _RESOURCES}
    except OSError as error:
        if error.errno in _ABSENT:
            return {}
        raise


class PressureSampler:
    """Holds the previous reading, and whether the log has been told that there is none."""

    name = "pressure"
    measurement = MEASUREMENT
    interval_s = 1.0
    may_block = False

    def __init__(self, context: SamplingContext) -> None:
        self._pressure = context.proc_root / "pressure"
        self._before: Mapping[str, Mapping[str, Stall]] = {}
        self._before_s = 0.0
        self._remarked = False

    def sample(self, at: Instant) -> Sequence[Row]:
        now = {resource: parse_pressure(text) for resource, text in read_pressure(self._pressure).items()}
        self._remark_absence(bool(now))
        rows = measure_pressure(now, self._before, at.monotonic_s - self._before_s)
        self._before, self._before_s = now, at.monotonic_s
        return rows

    def _remark_absence(self, is_offered: bool) -> None:
        if is_offered or self._remarked:
            return
        self._remarked = True
        logger.info("no rows for pressure: this kernel offers no PSI; boot it with psi=1 (Linux 4.20 or newer) to have them")
