import logging
from typing import Any

import pytest
from watchdesk_agent.sampling.pressure import PressureSampler

SOME = "some avg10=1.50 avg60=0.80 avg300=0.10 total={total}\n"
FULL = "full avg10=0.50 avg60=0.20 avg300=0.00 total=1000000\n"


def test_each_resource_has_kernel_averages_and_its_own_share_of_the_last_second(kernel: Any) -> None:
    for name in ("cpu", "memory", "io"):
        kernel.write({f"proc/pressure/{name}": SOME.format(total=2_000_000) + FULL})
    sampler = PressureSampler(kernel.context())
    first = kernel.sample(sampler)[2]
    kernel.write({"proc/pressure/io": SOME.format(total=2_250_000) + FULL})
    second = kernel.sample(sampler)[2]
    assert (first["resource"], first["some_ratio"], first["some_seconds_total"]) == ("io", None, 2.0)
    assert (second["some_ratio"], second["full_ratio"]) == (pytest.approx(0.25), 0.0)
    assert (second["some_avg10_ratio"], second["full_avg60_ratio"], second["full_seconds_total"]) == (0.015, 0.002, 1.0)


def test_a_cpu_file_without_full_has_null_fields(kernel: Any) -> None:
    for name in ("cpu", "memory", "io"):
        kernel.write({f"proc/pressure/{name}": SOME.format(total=1)})
    row = kernel.sample(PressureSampler(kernel.context()))[0]
    assert (row["full_ratio"], row["full_avg10_ratio"], row["full_seconds_total"]) == (None, None, None)


def test_a_kernel_without_psi_gives_no_rows_and_one_remark(kernel: Any, caplog: pytest.LogCaptureFixture) -> None:
    sampler = PressureSampler(kernel.context())
    with caplog.at_level(logging.INFO):
        assert [kernel.sample(sampler), kernel.sample(sampler)] == [[], []]
    [remark] = caplog.messages
    assert "psi=1" in remark
