"""A kernel made of recorded text, for samplers that are asked twice."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from watchdesk_agent.model import Instant, Row, Sampler, Value
from watchdesk_agent.sampling import SamplingContext, SamplingFilters
from watchdesk_proto.catalogue import Measurement

Named: TypeAlias = dict[str, Value]


def name_row(measurement: Measurement, row: Row) -> Named:
    return dict(zip((column.name for column in measurement.columns), row, strict=True))


class Kernel:
    """Files below /proc and /sys, and slots a second apart."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.slots = 0

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def context(self, filters: SamplingFilters | None = None, *, clock_offset_s: Callable[[], float | None] = lambda: None) -> SamplingContext:
        return SamplingContext(
            filters=filters or SamplingFilters(),
            clock_offset_s=clock_offset_s,
            agent_version="0.1.0",
            proc_root=self.root / "proc",
            sys_root=self.root / "sys",
            os_release=self.root / "os-release",
            kernel="6.1.0-18-amd64",
            architecture="x86_64",
        )

    def sample(self, sampler: Sampler) -> list[Named]:
        """The rows of the next second."""
        self.slots += 1
        rows = sampler.sample(Instant(slot_us=self.slots * 1_000_000, monotonic_s=1000.0 + self.slots))
        return [name_row(sampler.measurement, row) for row in rows]


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)
