"""What samplers are given: where the kernel's files lie, what to leave out, and the few things that only the rest of the agent knows."""

import platform
from collections.abc import Callable
from pathlib import Path

from watchdesk_agent.model import Instant
from watchdesk_agent.sampling.config import SamplingFilters


class SlotFile:
    """A kernel file that several samplers read: read once per slot, so that they all speak of the same moment and pay once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, str] | None = None

    def read(self, at: Instant) -> str:
        """The text of the file in this slot. **Errors**: OSError."""
        known = self._read
        if known is not None and known[0] == at.slot_us:
            return known[1]
        text = read_text(self._path)
        self._read = (at.slot_us, text)
        return text


class SamplingContext:
    """Everything a sampler may ask for; the paths are arguments so that recorded text can stand in for a kernel."""

    def __init__(
        self,
        *,
        filters: SamplingFilters,
        clock_offset_s: Callable[[], float | None],
        agent_version: str,
        proc_root: Path = Path("/proc"),
        sys_root: Path = Path("/sys"),
        os_release: Path = Path("/etc/os-release"),
        kernel: str = platform.release(),
        architecture: str = platform.machine(),
    ) -> None:
        self.filters = filters
        self.clock_offset_s = clock_offset_s
        self.agent_version = agent_version
        self.proc_root = proc_root
        self.sys_root = sys_root
        self.os_release = os_release
        self.kernel = kernel
        self.architecture = architecture
        self.stat = SlotFile(proc_root / "stat")
        self.meminfo = SlotFile(proc_root / "meminfo")
        self.vmstat = SlotFile(proc_root / "vmstat")


def read_text(path: Path) -> str:
    """The whole text of a kernel file, whose size is never known beforehand. Unbuffered: half the time of `Path.read_text`. **Errors**: OSError."""
    with path.open("rb", buffering=0) as file:
        return file.read().decode("utf-8", "replace")
