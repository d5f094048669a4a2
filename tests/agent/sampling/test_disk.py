import errno
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from watchdesk_agent.sampling import SamplingFilters
from watchdesk_agent.sampling.config import FilesystemFilter, MountFilter
from watchdesk_agent.sampling.disk import DiskSampler, choose_mounts, parse_mountinfo, wanted_mounts

MOUNTINFO = """\
22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:14 - proc proc rw
24 28 0:5 / /dev rw,nosuid,relatime shared:2 - devtmpfs udev rw,size=1000k
25 24 0:23 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw
28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
31 28 0:25 / /run rw,nosuid,nodev,noexec,relatime shared:5 - tmpfs tmpfs rw,size=800k,mode=755
40 28 8:17 / /srv rw,relatime - xfs /dev/sdb1 rw,attr2
41 28 8:1 /var/lib/www /srv/www rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
42 28 0:40 / /mnt/nas\\040one rw,relatime shared:9 - nfs4 nas:/export/home rw,vers=4.2
43 28 0:41 /@home /home rw,relatime shared:10 - btrfs /dev/sdc1 rw,subvol=/@home
44 28 0:41 /@var /var/lib/data rw,relatime shared:11 - btrfs /dev/sdc1 rw,subvol=/@var
45 28 7:0 / /snap/core/1 ro,nodev - squashfs /dev/loop0 ro
46 28 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/x
47 28 0:51 / /hidden ro,nosuid - tmpfs tmpfs ro,size=4k
"""
ANSWER = os.statvfs_result((4096, 4096, 1000, 400, 300, 500, 100, 100, 4096, 255))


def chosen(mountinfo: str, filters: SamplingFilters | None = None) -> list[str]:
    return [mount.point for mount in choose_mounts(parse_mountinfo(mountinfo), wanted_mounts(filters or SamplingFilters()))]


def test_one_row_per_file_system_under_its_shortest_mount_point_and_no_pseudo_ones() -> None:
    assert chosen(MOUNTINFO) == ["/", "/run", "/srv", "/home", "/mnt/nas one"]


def test_a_mount_hidden_below_a_later_one_is_not_chosen() -> None:
    assert chosen("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 0 8:17 / /data rw - ext4 /dev/sdb1 rw\n3 0 8:33 / /data rw - xfs /dev/sdc1 rw\n") == [
        "/",
        "/data",
    ]
    assert {
        mount.device
        for mount in choose_mounts(parse_mountinfo("2 0 8:17 / /d rw - ext4 /dev/b rw\n3 0 8:33 / /d rw - xfs /dev/c rw\n"), lambda _: True)
    } == {"/dev/c"}


def test_filters_choose_by_mount_point_and_by_type() -> None:
    filters = SamplingFilters(mounts=MountFilter(exclude=("/srv*",)), filesystems=FilesystemFilter(exclude=("nfs*", "*fs", "proc", "overlay")))
    assert chosen(MOUNTINFO, filters) == ["/"]


@pytest.mark.parametrize(
    ("options", "super_options", "read_only"),
    [("rw,relatime", "rw", False), ("ro,relatime", "rw", True), ("rw", "ro,errors=remount-ro", True), ("rw", "rw,emergency_ro", True)],
)
def test_read_only_is_seen_in_the_mount_and_in_the_file_system(options: str, super_options: str, read_only: bool) -> None:
    [mount] = parse_mountinfo(f"1 0 8:1 / / {options} shared:1 master:2 - ext4 /dev/sda1 {super_options}")
    assert mount.is_read_only is read_only


def test_sizes_and_ratio_are_those_of_df(kernel: Any) -> None:
    kernel.write({"proc/1/mountinfo": MOUNTINFO})
    row = kernel.sample(DiskSampler(kernel.context(), statvfs=lambda _: ANSWER))[0]
    assert row == {
        "mount": "/",
        "device": "/dev/sda1",
        "filesystem": "ext4",
        "total_bytes": 1000 * 4096,
        "used_bytes": 600 * 4096,
        "available_bytes": 300 * 4096,
        "used_ratio": pytest.approx(600 / 900, abs=1e-5),
        "inodes_total": 500,
        "inodes_free": 100,
        "inodes_used_ratio": pytest.approx(0.8),
        "read_only": 0,
        "responding": 1,
    }


def test_a_file_system_without_inodes_has_null_inodes(kernel: Any) -> None:
    kernel.write({"proc/1/mountinfo": MOUNTINFO})
    boundless = os.statvfs_result((4096, 4096, 1000, 400, 300, 0, 0, 0, 4096, 255))
    row = kernel.sample(DiskSampler(kernel.context(), statvfs=lambda _: boundless))[0]
    assert (row["inodes_total"], row["inodes_free"], row["inodes_used_ratio"]) == (None, None, None)


def failing(point: str, code: int) -> Any:
    def statvfs(asked: str) -> os.statvfs_result:
        if asked == point:
            raise OSError(code, os.strerror(code))
        return ANSWER

    return statvfs


def test_an_error_is_a_row_that_does_not_respond(kernel: Any) -> None:
    kernel.write({"proc/1/mountinfo": MOUNTINFO})
    rows = {row["mount"]: row for row in kernel.sample(DiskSampler(kernel.context(), statvfs=failing("/srv", errno.EIO)))}
    assert (rows["/srv"]["responding"], rows["/srv"]["total_bytes"], rows["/srv"]["read_only"]) == (0, None, 0)
    assert rows["/"]["responding"] == 1


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOENT])
def test_what_the_agent_cannot_see_has_no_row(kernel: Any, code: int) -> None:
    kernel.write({"proc/1/mountinfo": MOUNTINFO})
    assert "/srv" not in [row["mount"] for row in kernel.sample(DiskSampler(kernel.context(), statvfs=failing("/srv", code)))]


def test_where_process_one_is_hidden_our_own_mounts_are_read(kernel: Any) -> None:
    kernel.write({"proc/self/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"})
    assert [row["mount"] for row in kernel.sample(DiskSampler(kernel.context(), statvfs=lambda _: ANSWER))] == ["/"]


class DeadServer:
    """statvfs that hangs on one mount until it is released, and counts how often it was asked."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.asked = 0
        self.back = threading.Event()

    def statvfs(self, point: str) -> os.statvfs_result:
        if point == self.point:
            self.asked += 1
            self.back.wait(60)
        return ANSWER


@pytest.fixture
def dead() -> Iterator[DeadServer]:
    server = DeadServer("/mnt/nas one")
    yield server
    server.back.set()


def test_a_dead_server_costs_only_its_own_row_and_one_thread_until_it_is_back(kernel: Any, dead: DeadServer) -> None:
    kernel.write({"proc/1/mountinfo": MOUNTINFO})
    sampler = DiskSampler(kernel.context(), statvfs=dead.statvfs, answer_within_s=0.05)
    for _ in range(3):
        rows = {row["mount"]: row for row in kernel.sample(sampler)}
        assert (rows["/mnt/nas one"]["responding"], rows["/"]["responding"]) == (0, 1)
    assert dead.asked == 1
    dead.back.set()
    patient = DiskSampler(kernel.context(), statvfs=dead.statvfs, answer_within_s=30)
    assert all(row["responding"] == 1 for row in kernel.sample(patient))
