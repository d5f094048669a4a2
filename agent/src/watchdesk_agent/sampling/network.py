"""network: what each interface carries, and what it loses.

**Source**: `/proc/net/dev`; psutil asks the driver (ethtool, netdevice(7)) about the link.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import psutil
from watchdesk_proto.catalogue import Measurement, Type, counter, gauge, label

from watchdesk_agent.model import Instant, Row
from watchdesk_agent.sampling.config import selector
from watchdesk_agent.sampling.context import SamplingContext, read_text
from watchdesk_agent.sampling.rates import per_second

Counters: TypeAlias = tuple[int, ...]
"""Since boot, in the order of `_COUNTED`."""

# name without suffix: its unit, its place among the 16 columns of /proc/net/dev, what it counts
_COUNTED = {
    "receive_bytes": ("bytes", 0, "Bytes received"),
    "transmit_bytes": ("bytes", 8, "Bytes sent"),
    "receive_packets": ("", 1, "Packets received"),
    "transmit_packets": ("", 9, "Packets sent"),
    "receive_errors": ("", 2, "Packets that arrived damaged"),
    "transmit_errors": ("", 10, "Packets that could not be sent"),
    "receive_drops": ("", 3, "Packets that arrived and were dropped, often for want of buffers"),
    "transmit_drops": ("", 11, "Packets that were dropped before they were sent"),
}

MEASUREMENT = Measurement(
    name="network",
    help="What each network interface carries, and what it loses. Rates span the time since the previous sample.",
    columns=(
        label("interface", "The interface's name, such as eth0."),
        *(counter(f"{name}_total", f"{what}.", unit=unit) for name, (unit, _, what) in _COUNTED.items()),
        *(gauge(f"{name}_per_second", f"{what}, per second.", unit=unit and f"{unit}_per_second") for name, (unit, _, what) in _COUNTED.items()),
        gauge("up", "1 when the interface is up and its link runs; 0 when it does not.", type=Type.INT64),
        gauge("speed_bytes_per_second", "What the link can carry; null when the driver does not know.", unit="bytes_per_second"),
        gauge("mtu_bytes", "The largest packet it carries.", unit="bytes", type=Type.INT64),
    ),
)

_BYTES_PER_MEGABIT = 125_000


class Link(Protocol):
    """What psutil says of an interface's link; `speed` is in Mbit/s, 0 when unknown."""

    @property
    def isup(self) -> bool: ...

    @property
    def speed(self) -> int: ...

    @property
    def mtu(self) -> int: ...


def parse_net_dev(net_dev: str, wanted: Callable[[str], bool]) -> dict[str, Counters]:
    """The wanted interfaces by name."""
    interfaces = {}
    for line in net_dev.splitlines()[2:]:
        name, _, rest = line.rpartition(":")
        name = name.strip()
        if wanted(name):
            words = rest.split()
            interfaces[name] = tuple(int(words[place]) for _, place, _ in _COUNTED.values())
    return interfaces


def measure_network(now: Mapping[str, Counters], before: Mapping[str, Counters], elapsed_s: float, *, links: Mapping[str, Link]) -> list[Row]:
    """One row per interface."""
    return [(name, *counters, *_rates(counters, before.get(name), elapsed_s), *_link(links.get(name))) for name, counters in now.items()]


def _rates(now: Counters, before: Counters | None, elapsed_s: float) -> Sequence[float | None]:
    if before is None:
        return (None,) * len(now)
    return [per_second(count, earlier, elapsed_s) for count, earlier in zip(now, before, strict=True)]


def _link(link: Link | None) -> Row:
    """Nulls when the interface has just gone."""
    if link is None:
        return (None, None, None)
    return (int(link.isup), float(link.speed * _BYTES_PER_MEGABIT) or None, link.mtu)


class NetworkSampler:
    """Holds the previous reading."""

    name = "network"
    measurement = MEASUREMENT
    interval_s = 1.0
    may_block = False

    def __init__(self, context: SamplingContext, *, read_links: Callable[[], Mapping[str, Link]] = psutil.net_if_stats) -> None:
        self._net_dev = context.proc_root / "net" / "dev"
        self._read_links = read_links
        self._wanted = selector(include=context.filters.interfaces.include, exclude=context.filters.interfaces.exclude)
        self._before: Mapping[str, Counters] = {}
        self._before_s = 0.0

    def sample(self, at: Instant) -> Sequence[Row]:
        now = parse_net_dev(read_text(self._net_dev), self._wanted)
        rows = measure_network(now, self._before, at.monotonic_s - self._before_s, links=self._read_links())
        self._before, self._before_s = now, at.monotonic_s
        return rows
