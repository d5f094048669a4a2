from typing import Any

import pytest
from watchdesk_agent.sampling import SamplingFilters
from watchdesk_agent.sampling.config import DeviceFilter
from watchdesk_agent.sampling.disk_io import DiskIoSampler

BEFORE = """\
   7       0 loop0 5 0 5 0 0 0 0 0 0 0 0
   8       0 sda 100 0 2000 50 200 0 4000 100 0 900 150 0 0 0 0
   8       1 sda1 100 0 2000 50 200 0 4000 100 0 900 150
 104       0 cciss/c0d0 1 0 8 1 1 0 8 1 0 1 2
"""
AFTER = BEFORE.replace("sda 100 0 2000 50 200 0 4000 100 0 900 150", "sda 110 0 2080 70 240 0 4160 180 3 1150 350")


@pytest.fixture
def disks(kernel: Any) -> Any:
    kernel.write({"sys/block/sda/dev": "", "sys/block/loop0/dev": "", "sys/block/cciss!c0d0/dev": "", "proc/diskstats": BEFORE})
    return kernel


def test_whole_disks_are_sampled_and_partitions_and_loop_devices_are_not(disks: Any) -> None:
    assert [row["device"] for row in disks.sample(DiskIoSampler(disks.context()))] == ["sda", "cciss/c0d0"]


def test_an_include_brings_back_what_the_default_leaves_out(disks: Any) -> None:
    filters = SamplingFilters(devices=DeviceFilter(include=("loop0",)))
    assert [row["device"] for row in disks.sample(DiskIoSampler(disks.context(filters)))] == ["loop0", "sda", "cciss/c0d0"]


def test_throughput_await_queue_and_utilisation_span_the_last_second(disks: Any) -> None:
    sampler = DiskIoSampler(disks.context())
    first = disks.sample(sampler)[0]
    disks.write({"proc/diskstats": AFTER})
    row = disks.sample(sampler)[0]
    assert (first["reads_per_second"], first["await_seconds"], first["utilisation_ratio"]) == (None, None, None)
    assert (row["reads_total"], row["write_bytes_total"], row["busy_seconds_total"], row["in_progress"]) == (110, 4160 * 512, 1.15, 3)
    assert (row["reads_per_second"], row["writes_per_second"]) == (10.0, 40.0)
    assert (row["read_bytes_per_second"], row["write_bytes_per_second"]) == (80 * 512.0, 160 * 512.0)
    assert row["read_await_seconds"] == pytest.approx(0.002)
    assert row["write_await_seconds"] == pytest.approx(0.002)
    assert row["await_seconds"] == pytest.approx(0.002)
    assert row["queue_length"] == pytest.approx(0.2)
    assert row["utilisation_ratio"] == pytest.approx(0.25)


def test_an_idle_second_has_rates_of_zero_and_no_await(disks: Any) -> None:
    sampler = DiskIoSampler(disks.context())
    disks.sample(sampler)
    row = disks.sample(sampler)[0]
    assert (row["reads_per_second"], row["utilisation_ratio"], row["await_seconds"]) == (0.0, 0.0, None)


def test_a_counter_that_wraps_has_no_rate_in_that_tick(disks: Any) -> None:
    sampler = DiskIoSampler(disks.context())
    disks.write({"proc/diskstats": AFTER})
    disks.sample(sampler)
    disks.write({"proc/diskstats": BEFORE})
    wrapped = disks.sample(sampler)[0]
    assert [wrapped[name] for name in ("reads_per_second", "write_bytes_per_second", "await_seconds", "utilisation_ratio")] == [None] * 4
    assert disks.sample(sampler)[0]["reads_per_second"] == 0.0


def test_a_disk_is_never_more_than_fully_utilised(disks: Any) -> None:
    sampler = DiskIoSampler(disks.context())
    disks.sample(sampler)
    disks.write({"proc/diskstats": AFTER.replace("1150", "2901")})
    assert disks.sample(sampler)[0]["utilisation_ratio"] == 1.0
