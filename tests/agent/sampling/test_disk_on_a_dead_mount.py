"""A real mount whose server never answers: FUSE without a daemon behind it."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdesk_agent.model import Instant
from watchdesk_agent.sampling import SamplingContext, SamplingFilters
from watchdesk_agent.sampling.config import MountFilter
from watchdesk_agent.sampling.disk import DiskSampler

MNT_FORCE, MNT_DETACH = 1, 2
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def dead_mount(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("needs root and /dev/fuse to mount a file system that never answers")
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"dead", os.fsencode(tmp_path), b"fuse", 0, options) != 0:
        os.close(device)
        pytest.skip(f"may not mount here: {os.strerror(ctypes.get_errno())}")
    yield tmp_path
    libc.umount2(os.fsencode(tmp_path), MNT_FORCE | MNT_DETACH)
    os.close(device)


@pytest.mark.root
def test_a_mount_that_hangs_has_a_row_that_says_so_and_the_others_have_theirs(dead_mount: Path) -> None:
    filters = SamplingFilters(mounts=MountFilter(include=(str(dead_mount), "/"), exclude=("*",)))
    context = SamplingContext(filters=filters, clock_offset_s=lambda: None, agent_version="0.1.0")
    sampler = DiskSampler(context, answer_within_s=0.1)
    for slot in (1, 2):
        rows = {row[0]: row for row in sampler.sample(Instant(slot_us=slot, monotonic_s=float(slot)))}
        assert rows[str(dead_mount)] == (str(dead_mount), "dead", "fuse", *(None,) * 7, 0, 0)
        assert all(row[-1] == 1 for mount, row in rows.items() if mount != str(dead_mount))
