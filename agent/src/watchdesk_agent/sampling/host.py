"""host: what this host is, since when it runs, and how far its clock is off.

**Source**: `/proc/uptime`, `/proc/stat` (btime), uname(2), os-release(5); the clock offset comes from the uplink.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from watchdesk_proto.catalogue import Measurement, gauge, text

from watchdesk_agent.model import Instant, Row
from watchdesk_agent.sampling.context import SamplingContext, read_text

MEASUREMENT = Measurement(
    name="host",
    help="What the host is, since when it runs, and how far its clock is off.",
    columns=(
        gauge("uptime_seconds", "Time since the host was booted, suspended time included.", unit="seconds"),
        gauge("boot_at_seconds", "When the host was booted, in seconds since 1970 UTC.", unit="seconds"),
        gauge("clock_offset_seconds", "How far the host's clock is ahead of the collector's; null until the first connection.", unit="seconds"),
        text("kernel", "The kernel's release, such as 6.1.0-18-amd64."),
        text("os", "The distribution's own name, such as Debian GNU/Linux 12 (bookworm)."),
        text("architecture", "The machine's architecture, such as x86_64."),
        text("agent_version", "The agent's version."),
    ),
)


def parse_boot_at(stat: str) -> int | None:
    """Seconds since 1970 UTC."""
    for line in stat.splitlines():
        if line.startswith("btime "):
            return int(line[6:])
    return None


def parse_os_name(os_release: str) -> str:
    """PRETTY_NAME, which os-release(5) lets be quoted or not and be absent: then "Linux"."""
    for line in os_release.splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            return value.strip().strip("\"'")
    return "Linux"


def read_os_name(os_release: Path) -> str:
    """The distribution's name; "Linux" where nothing says it."""
    try:
        return parse_os_name(read_text(os_release))
    except OSError:
        return "Linux"


class HostSampler:
    """Reads the distribution's name once: it changes with an upgrade, after which the host is booted or the agent restarted."""

    name = "host"
    measurement = MEASUREMENT
    interval_s = 10.0
    may_block = False

    def __init__(self, context: SamplingContext) -> None:
        self._uptime = context.proc_root / "uptime"
        self._stat = context.stat
        self._clock_offset_s: Callable[[], float | None] = context.clock_offset_s
        self._facts = (context.kernel, read_os_name(context.os_release), context.architecture, context.agent_version)

    def sample(self, at: Instant) -> Sequence[Row]:
        uptime_s = float(read_text(self._uptime).split()[0])
        return [(uptime_s, _as_float(parse_boot_at(self._stat.read(at))), self._clock_offset_s(), *self._facts)]


def _as_float(value: int | None) -> float | None:
    return None if value is None else float(value)
