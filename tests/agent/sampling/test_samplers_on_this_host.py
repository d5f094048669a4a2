"""The real kernel: every sampler gives rows that fit its declaration, twice."""

import time
from datetime import UTC, datetime

import pytest
from watchdesk_agent.model import Instant, check_rows
from watchdesk_agent.sampling import SAMPLERS, SamplingContext, SamplingFilters

MAY_BE_EMPTY = {"disk", "disk_io", "network", "pressure", "cpu_core"}  # a container may have none of them


def context() -> SamplingContext:
    return SamplingContext(filters=SamplingFilters(), clock_offset_s=lambda: 0.0, agent_version="0.1.0")


@pytest.mark.parametrize("make", SAMPLERS, ids=lambda make: make.name)
def test_rows_fit_the_declaration(make: type) -> None:
    sampler = make(context())
    for slot in (1, 2):
        rows = sampler.sample(Instant(slot_us=slot * 1_000_000, monotonic_s=time.monotonic()))
        check_rows(sampler.measurement, rows)
        assert rows or sampler.name in MAY_BE_EMPTY


def test_names_are_those_of_the_measurements_and_unique() -> None:
    samplers = [make(context()) for make in SAMPLERS]
    assert [sampler.name for sampler in samplers] == [sampler.measurement.name for sampler in samplers]
    assert len({sampler.name for sampler in samplers}) == len(SAMPLERS)


def test_only_samplers_that_can_hang_get_a_thread_of_their_own() -> None:
    assert [sampler.name for sampler in (make(context()) for make in SAMPLERS) if sampler.may_block] == ["disk"]


def test_names_carry_their_units() -> None:
    columns = [column for make in SAMPLERS for column in make(context()).measurement.columns]
    assert all(column.name.removesuffix("_total").endswith(column.unit) for column in columns)
    assert all((column.kind == "counter") == column.name.endswith("_total") or column.name == "inodes_total" for column in columns)


def test_boot_is_now_less_uptime() -> None:
    host = next(sampler for sampler in (make(context()) for make in SAMPLERS) if sampler.name == "host")
    [(uptime_s, boot_at_s, *_)] = host.sample(Instant(slot_us=1, monotonic_s=1.0))
    assert isinstance(uptime_s, float)
    assert boot_at_s == pytest.approx(datetime.now(UTC).timestamp() - uptime_s, abs=5)
