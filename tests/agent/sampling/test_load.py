from typing import Any

import pytest
from watchdesk_agent.sampling.load import LoadSampler

LOADAVG = "1.50 0.80 0.40 3/312 4711\n"
STAT = "cpu  1 1\ncpu0 1 1\ncpu1 1 1\nintr 100 1 2\nctxt {switches}\nprocesses {forks}\nprocs_running 2\nprocs_blocked 1\nsoftirq 9\n"


def test_load_per_cpu_and_rates_of_the_kernel_counters(kernel: Any) -> None:
    sampler = LoadSampler(kernel.context())
    kernel.write({"proc/loadavg": LOADAVG, "proc/stat": STAT.format(switches=1000, forks=10)})
    [first] = kernel.sample(sampler)
    kernel.write({"proc/stat": STAT.format(switches=1500, forks=13)})
    [second] = kernel.sample(sampler)
    assert (first["context_switches_per_second"], first["forks_per_second"]) == (None, None)
    assert (second["context_switches_per_second"], second["forks_per_second"]) == (500.0, 3.0)
    assert (second["load1"], second["load5"], second["load15"]) == (1.5, 0.8, 0.4)
    assert second["load1_per_cpu"] == pytest.approx(0.75)
    assert (second["cpus"], second["running"], second["blocked"], second["threads"]) == (2, 2, 1, 312)
