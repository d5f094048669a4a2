"""Samplers: what the agent measures of its host at each tick.

Before it on the pipe: the schedule, which says when. After it: batches. Adding a sampler takes two places: its file, and its line in `SAMPLERS`.
"""

from collections.abc import Callable

from watchdesk_agent.model import Sampler
from watchdesk_agent.sampling.config import SamplingFilters
from watchdesk_agent.sampling.context import SamplingContext
from watchdesk_agent.sampling.cpu import CpuSampler
from watchdesk_agent.sampling.cpu_core import CpuCoreSampler
from watchdesk_agent.sampling.disk import DiskSampler
from watchdesk_agent.sampling.disk_io import DiskIoSampler
from watchdesk_agent.sampling.host import HostSampler
from watchdesk_agent.sampling.load import LoadSampler
from watchdesk_agent.sampling.memory import MemorySampler
from watchdesk_agent.sampling.network import NetworkSampler
from watchdesk_agent.sampling.pressure import PressureSampler
from watchdesk_agent.sampling.swap import SwapSampler

__all__ = ["SAMPLERS", "SamplingContext", "SamplingFilters"]

SAMPLERS: tuple[Callable[[SamplingContext], Sampler], ...] = (
    CpuSampler,
    CpuCoreSampler,
    LoadSampler,
    MemorySampler,
    SwapSampler,
    DiskSampler,
    DiskIoSampler,
    NetworkSampler,
    PressureSampler,
    HostSampler,
)
