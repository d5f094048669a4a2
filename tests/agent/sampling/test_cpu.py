from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdesk_agent.sampling.cpu import MEASUREMENT, MODES, CpuSampler, measure_cpu, parse_ticks
from watchdesk_agent.sampling.cpu_core import CpuCoreSampler

BEFORE = "cpu  1000 0 500 8000 100 0 10 5 20 0\ncpu0 600 0 250 4000 50 0 5 3 20 0\ncpu1 400 0 250 4000 50 0 5 2 0 0\nintr 5\nctxt 9\n"
AFTER = "cpu  1060 0 520 8100 110 0 10 5 30 0\ncpu0 660 0 270 4010 60 0 5 3 30 0\ncpu1 400 0 250 4090 50 0 5 2 0 0\nintr 6\nctxt 19\n"


def test_first_tick_has_counters_but_no_ratios(kernel: Any) -> None:
    kernel.write({"proc/stat": BEFORE})
    [row] = kernel.sample(CpuSampler(kernel.context()))
    assert row["user_seconds_total"] == 10.0
    assert all(row[f"{mode}_ratio"] is None for mode in MODES)
    assert row["busy_ratio"] is None


def test_ratios_are_shares_of_the_time_between_two_ticks(kernel: Any) -> None:
    sampler = CpuSampler(kernel.context())
    kernel.write({"proc/stat": BEFORE})
    kernel.sample(sampler)
    kernel.write({"proc/stat": AFTER})
    [row] = kernel.sample(sampler)
    spent = 60 + 20 + 100 + 10
    assert row["user_ratio"] == pytest.approx(60 / spent, abs=1e-5)
    assert row["iowait_ratio"] == pytest.approx(10 / spent, abs=1e-5)
    assert row["guest_ratio"] == pytest.approx(10 / spent, abs=1e-5)
    assert row["busy_ratio"] == pytest.approx(80 / spent, abs=1e-5)


def test_each_core_has_its_own_ratios_and_a_new_one_has_none(kernel: Any) -> None:
    sampler = CpuCoreSampler(kernel.context())
    kernel.write({"proc/stat": BEFORE})
    kernel.sample(sampler)
    kernel.write({"proc/stat": AFTER.replace("intr", "cpu2 1 1 1 1 1 1 1 1 1 1\nintr")})
    rows = {row["core"]: row for row in kernel.sample(sampler)}
    assert list(rows) == ["0", "1", "2"]
    assert rows["0"]["busy_ratio"] == pytest.approx(0.8)
    assert rows["1"]["idle_ratio"] == pytest.approx(1.0, abs=1e-4)
    assert rows["2"]["busy_ratio"] is None


def test_a_reset_gives_no_ratios_in_that_tick() -> None:
    row = measure_cpu(parse_ticks("cpu 5 0 5 10 0 0 0 0 0 0"), parse_ticks("cpu 1000 0 5 10 0 0 0 0 0 0"), ticks_per_second=100)
    assert row[: len(MODES) + 1] == (None,) * (len(MODES) + 1)


def test_iowait_that_steps_back_a_little_counts_as_nothing() -> None:
    row = measure_cpu(parse_ticks("cpu 50 0 0 150 9 0 0 0 0 0"), parse_ticks("cpu 0 0 0 100 10 0 0 0 0 0"), ticks_per_second=100)
    assert row[0] == pytest.approx(0.5)


def test_an_old_kernel_without_steal_and_guest_has_zeros() -> None:
    assert parse_ticks("cpu 1 2 3 4") == (1, 2, 3, 4, 0, 0, 0, 0, 0)


ticks = st.tuples(*[st.integers(0, 2**63)] * len(MODES))


@given(before=ticks, after=ticks)
def test_ratios_are_absent_together_or_are_shares_of_one(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    row = dict(zip((column.name for column in MEASUREMENT.columns), measure_cpu(after, before, ticks_per_second=100), strict=True))
    ratios = [row[f"{mode}_ratio"] for mode in MODES if mode != "guest"]
    if ratios[0] is None:
        assert ratios == [None] * len(ratios)
    else:
        numbers = [ratio for ratio in ratios if isinstance(ratio, float)]
        assert all(0 <= ratio <= 1 for ratio in numbers)
        assert sum(numbers) == pytest.approx(1.0, abs=1e-4)
