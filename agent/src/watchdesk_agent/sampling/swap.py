"""swap: how full it is, and how much moves in and out.

**Source**: `/proc/meminfo` and `/proc/vmstat` (proc(5)); the latter counts pages.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watchdesk_proto.catalogue import Measurement, Type, counter, gauge

from watchdesk_agent.model import Instant, Row
from watchdesk_agent.sampling.context import SamplingContext
from watchdesk_agent.sampling.memory import parse_meminfo, parse_vmstat
from watchdesk_agent.sampling.rates import per_second, ratio

MEASUREMENT = Measurement(
    name="swap",
    help="How full the swap space is, and how much moves in and out. A host without swap has a total of 0 and no ratio.",
    columns=(
        gauge("total_bytes", "Swap space.", unit="bytes", type=Type.INT64),
        gauge("used_bytes", "Swap space in use.", unit="bytes", type=Type.INT64),
        gauge("free_bytes", "Swap space not in use.", unit="bytes", type=Type.INT64),
        gauge("used_ratio", "used_bytes divided by total_bytes; null without swap.", unit="ratio"),
        counter("in_bytes_total", "Read back from swap.", unit="bytes"),
        counter("out_bytes_total", "Written to swap.", unit="bytes"),
        gauge("in_bytes_per_second", "Read back from swap, per second since the previous sample.", unit="bytes_per_second"),
        gauge("out_bytes_per_second", "Written to swap, per second since the previous sample.", unit="bytes_per_second"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Bytes swapped since boot."""

    into: int
    out: int
    monotonic_s: float


def measure_swap(meminfo: Mapping[str, int], now: Moved, before: Moved | None) -> Row:
    """Without an earlier reading no time has passed, so rates are None."""
    total, free = meminfo["SwapTotal"], meminfo["SwapFree"]
    before = before or now
    elapsed_s = now.monotonic_s - before.monotonic_s
    return (
        total,
        total - free,
        free,
        ratio(total - free, total),
        now.into,
        now.out,
        per_second(now.into, before.into, elapsed_s),
        per_second(now.out, before.out, elapsed_s),
    )


class SwapSampler:
    """Holds the previous reading."""

    name = "swap"
    measurement = MEASUREMENT
    interval_s = 1.0
    may_block = False

    def __init__(self, context: SamplingContext) -> None:
        self._meminfo = context.meminfo
        self._vmstat = context.vmstat
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._before: Moved | None = None

    def sample(self, at: Instant) -> Sequence[Row]:
        pages = parse_vmstat(self._vmstat.read(at), ("pswpin", "pswpout"))
        now = Moved(
            into=pages.get("pswpin", 0) * self._page_bytes,
            out=pages.get("pswpout", 0) * self._page_bytes,
            monotonic_s=at.monotonic_s,
        )
        row = measure_swap(parse_meminfo(self._meminfo.read(at)), now, self._before)
        self._before = now
        return [row]
