"""Hosts as SQL sees them, taken from the host directory at the moment of the query."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from watchdesk_collector.history.columns import TIMESTAMP
from watchdesk_collector.model import Host


def names(hosts: Sequence[Host]) -> pa.Table:
    """host_id and host: what every measurement is joined with."""
    return pa.table({"host_id": _column([host.host_id for host in hosts], pa.int64()), "host": _column([host.name for host in hosts], pa.string())})


def to_arrow(hosts: Sequence[Host]) -> pa.Table:
    """The `hosts` table."""
    return pa.table(
        {
            "host_id": _column([host.host_id for host in hosts], pa.int64()),
            "host": _column([host.name for host in hosts], pa.string()),
            "agent_id": _column([host.agent_id for host in hosts], pa.string()),
            "first_seen_at": _column([host.first_seen_at for host in hosts], TIMESTAMP),
            "last_seen_at": _column([host.last_seen_at for host in hosts], TIMESTAMP),
            "boot_id": _column([host.boot_id for host in hosts], pa.string()),
            "agent_version": _column([host.agent_version for host in hosts], pa.string()),
            "clock_offset_seconds": _column([host.clock_offset_s for host in hosts], pa.float64()),
            "clock_is_off": _column([host.clock_is_off for host in hosts], pa.bool_()),
            "connected": _column([host.connected for host in hosts], pa.bool_()),
            "removed_at": _column([host.removed_at for host in hosts], TIMESTAMP),
        }
    )


def _column(values: Sequence[int | float | str | bool | datetime | None], type_: pa.DataType) -> "pa.Array[Any]":
    return pa.array(values, type_)
