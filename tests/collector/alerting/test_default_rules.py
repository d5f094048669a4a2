"""Each default rule fires on what it is for, ends when that is over, and keeps still on a host that is well."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from collector.alerting.world import Value, World, states
from watchdesk_collector.alerting.rule_file import DEFAULT_RULES
from watchdesk_collector.ops import alerts

Row = Mapping[str, Value]
GIB = 1 << 30
DAY = 86400.0
WELL: Mapping[str, Row] = {
    "agent": {"dropped_batches_total": 3, "dropped_rows_total": 0, "at_risk_batches_total": 0},
    "agent_sampler": {"sampler": "disk", "success": 1},
    "cpu": {"busy_ratio": 0.3},
    "disk": {
        "mount": "/var",
        "device": "/dev/sda1",
        "filesystem": "ext4",
        "used_ratio": 0.7,
        "available_bytes": 30 * GIB,
        "inodes_used_ratio": 0.1,
        "read_only": 0,
        "responding": 1,
    },
    "host": {"clock_offset_seconds": 0.01},
    "log": {"source": "syslog", "path": "/var/log/syslog", "severity": "error", "message": "one", "lines": 1},
    "memory": {"used_ratio": 0.5, "oom_kills_total": 2},
    "network": {"interface": "eth0", "receive_errors_per_second": 0.0, "transmit_errors_per_second": 0.0},
    "pressure": {"resource": "memory", "full_avg60_ratio": 0.0, "full_avg300_ratio": 0.0},
    "probe": {"probe": "shop", "kind": "http", "target": "https://shop", "success": 1, "certificate_expires_seconds": 60 * DAY},
    "swap": {"in_bytes_per_second": 0.0, "out_bytes_per_second": 0.0},
}


@dataclass(frozen=True, kw_only=True)
class Story:
    """What is different about the rows of a host that is not well, by the time for what grows, and once it is `over`; how many rows at once."""

    measurement: str
    ill: Callable[[int], Row]
    summary: str
    rows: int = 1
    over: Row = field(default_factory=dict)
    rows_over: int = 1


STORIES = {
    "probe-down": Story(
        measurement="probe", ill=lambda _: {"success": 0, "error": "refused"}, summary="shop: https://shop does not answer as it should: refused"
    ),
    "certificate-expires-soon": Story(
        measurement="probe",
        ill=lambda _: {"certificate_expires_seconds": 13.5 * DAY},
        summary="shop: the certificate of https://shop expires in 13d 12h",
    ),
    "certificate-expires": Story(
        measurement="probe", ill=lambda _: {"certificate_expires_seconds": -DAY}, summary="shop: the certificate of https://shop expires in -1d"
    ),
    "disk-filling": Story(measurement="disk", ill=lambda _: {"used_ratio": 0.93}, summary="/var is 93 % full; 30 GiB are left"),
    "disk-nearly-full": Story(
        measurement="disk", ill=lambda _: {"used_ratio": 0.98, "available_bytes": GIB}, summary="/var is 98 % full; 1 GiB are left"
    ),
    "disk-inodes": Story(
        measurement="disk",
        ill=lambda _: {"inodes_used_ratio": 0.95},
        summary="/var has used 95 % of its inodes; at 100 % no file can be made, however much space is left",
    ),
    "disk-read-only": Story(measurement="disk", ill=lambda _: {"read_only": 1}, summary="/var (/dev/sda1) is read-only"),
    "disk-not-responding": Story(
        measurement="disk", ill=lambda _: {"responding": 0, "used_ratio": None, "read_only": None}, summary="/var (/dev/sda1) does not respond"
    ),
    "memory-low": Story(measurement="memory", ill=lambda _: {"used_ratio": 0.97}, summary="memory has been 97 % used or more for minutes"),
    "memory-stalls": Story(
        measurement="pressure",
        ill=lambda _: {"full_avg60_ratio": 0.25},
        summary="all programs stood still for want of memory for 25 % of the last minute",
    ),
    "oom-kill": Story(
        measurement="memory",
        ill=lambda second: {"oom_kills_total": 2 + second // 60},
        summary="the kernel killed 1 process(es) for want of memory within a minute",
        over={"oom_kills_total": 1000},
    ),
    "swap-thrashing": Story(
        measurement="swap",
        ill=lambda _: {"in_bytes_per_second": 8.0 * (1 << 20), "out_bytes_per_second": 8.0 * (1 << 20)},
        summary="memory is being swapped in and out, 8 MiB/s in; everything is slow",
    ),
    "cpu-busy": Story(
        measurement="cpu",
        ill=lambda _: {"busy_ratio": 0.99},
        summary="the processors have been over 90 % busy for a quarter of an hour, 99 % in the last minute",
    ),
    "io-stalls": Story(
        measurement="pressure",
        ill=lambda _: {"resource": "io", "full_avg300_ratio": 0.6},
        summary="all programs waited for disks for 60 % of the last five minutes",
        over={"resource": "io"},
    ),
    "clock-off": Story(measurement="host", ill=lambda _: {"clock_offset_seconds": -7.0}, summary="the clock is 7s off the collector's"),
    "network-errors": Story(measurement="network", ill=lambda _: {"receive_errors_per_second": 4.0}, summary="eth0 has 4 errors per second"),
    "log-errors": Story(
        measurement="log",
        ill=lambda _: {"message": "no space left"},
        rows=5,
        rows_over=0,
        summary="syslog logged 30 errors within a minute; the newest: no space left",
    ),
    "agent-loses-data": Story(
        measurement="agent",
        ill=lambda second: {"dropped_batches_total": 3 + second // 10},
        summary="the agent dropped data: 5 batches or rows within a minute",
        over={"dropped_batches_total": 1000},
    ),
    "sampler-failing": Story(
        measurement="agent_sampler", ill=lambda _: {"success": 0, "error": "hung"}, summary="the agent cannot sample disk: hung"
    ),
}


def written() -> dict[str, str]:
    """Each default rule as it stands in the file."""
    chunks = DEFAULT_RULES.read_text(encoding="utf-8").split("[[rule]]")[1:]
    return {chunk.split('"')[1]: f"[[rule]]{chunk}" for chunk in chunks}


def test_every_default_rule_has_a_story() -> None:
    assert {*STORIES, "host-silent"} == set(written())


@pytest.mark.parametrize("name", STORIES)
def test_it_fires_on_what_it_is_for_and_ends_when_that_is_over(tmp_path: Path, name: str) -> None:
    story = STORIES[name]
    world = World(tmp_path, written()[name])
    well = WELL[story.measurement]

    def live(seconds: int, rows: Callable[[int], Row], count: int) -> list[str]:
        """Until something fires or ends."""
        for second in range(0, seconds, 10):
            world.clock.advance(10)
            world.store("web1", story.measurement, [{**well, **rows(second)}] * count)
            world.hear()
            changes = [state for state in states(world.engine.evaluate_once()) if state in ("firing", "resolved")]
            if changes:
                return changes
        return []

    assert live(120, lambda _: {}, 1) == []
    assert live(1500, story.ill, story.rows) == ["firing"]
    assert alerts.firing(world.ops)[0].summary == story.summary
    assert live(900, lambda _: story.over, story.rows_over) == ["resolved"]


def test_a_host_that_is_well_is_left_alone_by_all_of_them(tmp_path: Path) -> None:
    world = World(tmp_path, "".join(written().values()))
    for _ in range(40):
        world.clock.advance(10)
        for measurement, row in WELL.items():
            world.store("web1", measurement, [row])
        world.hear()
        assert world.engine.evaluate_once() == []


def test_a_disk_that_is_meant_to_be_read_only_and_full_is_left_alone(tmp_path: Path) -> None:
    world = World(tmp_path, "".join(written().values()))
    image = {**WELL["disk"], "filesystem": "squashfs", "read_only": 1, "used_ratio": 1.0, "available_bytes": 0, "inodes_used_ratio": 1.0}
    for _ in range(40):
        world.clock.advance(10)
        world.store("web1", "disk", [image])
        world.hear()
        assert world.engine.evaluate_once() == []
