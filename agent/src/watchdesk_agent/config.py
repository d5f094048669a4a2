"""The agent's configuration file: one dataclass per table, each defined beside what it configures; this module only composes them."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.settings import Form, load, setting

from watchdesk_agent.logs import LogConfig, LogSourceSampler, check_sources
from watchdesk_agent.model import Sampler
from watchdesk_agent.probes.config import ProbeConfig, check_probes
from watchdesk_agent.sampling import SAMPLERS, SamplingContext
from watchdesk_agent.sampling.config import DeviceFilter, FilesystemFilter, InterfaceFilter, MountFilter, SamplingFilters
from watchdesk_agent.self_sampling import AgentSampler, SamplerHealthSampler
from watchdesk_agent.spool import SpoolConfig
from watchdesk_agent.uplink.config import UplinkConfig

DEFAULT_PATH = Path("/etc/watchdesk/agent.toml")
SHORTEST_S = 0.1


def _check_interval(interval_s: float) -> str | None:
    return None if interval_s >= SHORTEST_S else 'is too short; the shortest is "100ms"'


def _check_intervals(intervals_s: Mapping[str, float]) -> str | None:
    known = _sampler_names()
    for name, interval_s in intervals_s.items():
        if name not in known:
            return f"names no sampler with {name!r}; the samplers are {', '.join(known)}"
        if interval_s < SHORTEST_S:
            return f'gives {name} too short an interval; the shortest is "100ms"'
    return None


def _sampler_names() -> list[str]:
    context = SamplingContext(filters=SamplingFilters(), clock_offset_s=lambda: None, agent_version="")
    return [*(make(context).name for make in SAMPLERS), LogSourceSampler.name, AgentSampler.name, SamplerHealthSampler.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How often samplers run, and what of the host they cover, `[sampling]`."""

    interval: float = setting("1s", form=Form.DURATION, check=_check_interval, help="How often light samplers run; heavy ones run every 10s at most.")
    flush_interval: float = setting(
        "10s", form=Form.DURATION, check=_check_interval, help="How often samples are made durable and sent; also how much a power failure can cost."
    )
    intervals: dict[str, float] = setting(
        dict, form=Form.DURATION, check=_check_intervals, help="Intervals of single samplers, by name.", example='{ disk = "30s", cpu = "5s" }'
    )
    mounts: MountFilter = setting(MountFilter, help="Which mount points the disk sampler covers.")
    filesystems: FilesystemFilter = setting(FilesystemFilter, help="Which types of file systems the disk sampler covers.")
    devices: DeviceFilter = setting(DeviceFilter, help="Which block devices the disk_io sampler covers.")
    interfaces: InterfaceFilter = setting(InterfaceFilter, help="Which interfaces the network sampler covers.")

    @property
    def filters(self) -> SamplingFilters:
        """What of the host is sampled."""
        return SamplingFilters(mounts=self.mounts, filesystems=self.filesystems, devices=self.devices, interfaces=self.interfaces)

    def interval_s(self, sampler: Sampler) -> float:
        """How often a sampler runs: its own key, else no more often than `interval` and than it suggests."""
        return self.intervals.get(sampler.name, max(self.interval, sampler.interval_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """/etc/watchdesk/agent.toml."""

    host: str = setting(socket.gethostname, help="The name that people know this host by. Default: its hostname.", example='"web-1"')
    state_dir: Path = setting(Path("/var/lib/watchdesk-agent"), help="Where the agent keeps its identity and its spool.")
    collector: UplinkConfig = setting(help="Where samples go.")
    sampling: SamplingConfig = setting(SamplingConfig, help="How often samplers run, and what they cover.")
    spool: SpoolConfig = setting(SpoolConfig, help="What is kept while the collector is away.")
    probe: tuple[ProbeConfig, ...] = setting((), check=check_probes, help="What this host tries to reach.")
    log: tuple[LogConfig, ...] = setting((), check=check_sources, help="Which error logs are followed.")


def read_config(path: Path) -> Config:
    """**Errors**: ConfigError, with all that is wrong."""
    return load(path, Config)
