from typing import Any

import pytest
from watchdesk_agent.sampling.memory import MemorySampler, parse_meminfo
from watchdesk_agent.sampling.swap import SwapSampler

MEMINFO = """\
MemTotal:        8000 kB
MemFree:         1000 kB
MemAvailable:    6000 kB
Buffers:          100 kB
Cached:          4000 kB
SwapTotal:       {swap} kB
SwapFree:         {swap_free} kB
Committed_AS:    9000 kB
HugePages_Total:    3
"""
VMSTAT = "nr_free_pages 7\npgmajfault {faults}\npswpin {swapped_in}\npswpout {swapped_out}\noom_kill 2\n"


def meminfo(swap: int = 0, swap_free: int = 0) -> str:
    return MEMINFO.format(swap=swap, swap_free=swap_free)


def vmstat(faults: int = 0, swapped_in: int = 0, swapped_out: int = 0) -> str:
    return VMSTAT.format(faults=faults, swapped_in=swapped_in, swapped_out=swapped_out)


def test_used_is_what_programs_cannot_get(kernel: Any) -> None:
    kernel.write({"proc/meminfo": meminfo(), "proc/vmstat": vmstat()})
    [row] = kernel.sample(MemorySampler(kernel.context()))
    assert row["total_bytes"] == 8000 * 1024
    assert row["used_bytes"] == 2000 * 1024
    assert row["used_ratio"] == pytest.approx(0.25)
    assert row["oom_kills_total"] == 2


def test_fields_that_the_kernel_does_not_tell_are_null(kernel: Any) -> None:
    kernel.write({"proc/meminfo": "MemTotal: 8000 kB\nMemFree: 1000 kB\n", "proc/vmstat": "pgmajfault 1\n"})
    [row] = kernel.sample(MemorySampler(kernel.context()))
    assert (row["available_bytes"], row["used_bytes"], row["used_ratio"], row["slab_bytes"], row["oom_kills_total"]) == (None,) * 5


def test_counts_of_huge_pages_are_not_taken_for_kilobytes() -> None:
    assert parse_meminfo(meminfo())["HugePages_Total"] == 3


def test_major_faults_have_a_rate_from_the_second_tick_on_and_none_after_a_reset(kernel: Any) -> None:
    sampler = MemorySampler(kernel.context())
    kernel.write({"proc/meminfo": meminfo()})
    rates = []
    for faults in (100, 140, 5):
        kernel.write({"proc/vmstat": vmstat(faults=faults)})
        rates.append(kernel.sample(sampler)[0]["major_faults_per_second"])
    assert rates == [None, 40.0, None]


def test_a_host_without_swap_has_no_used_ratio(kernel: Any) -> None:
    kernel.write({"proc/meminfo": meminfo(), "proc/vmstat": vmstat()})
    [row] = kernel.sample(SwapSampler(kernel.context()))
    assert (row["total_bytes"], row["used_ratio"]) == (0, None)


def test_swapping_is_counted_in_bytes(kernel: Any) -> None:
    sampler = SwapSampler(kernel.context())
    kernel.write({"proc/meminfo": meminfo(swap=1000, swap_free=250), "proc/vmstat": vmstat(swapped_in=1, swapped_out=2)})
    [first] = kernel.sample(sampler)
    kernel.write({"proc/vmstat": vmstat(swapped_in=1, swapped_out=5)})
    [second] = kernel.sample(sampler)
    page_bytes = first["in_bytes_total"]
    assert first["out_bytes_total"] == 2 * page_bytes
    assert second["used_ratio"] == pytest.approx(0.75)
    assert (second["in_bytes_per_second"], second["out_bytes_per_second"]) == (0.0, 3.0 * page_bytes)
