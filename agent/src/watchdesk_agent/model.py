"""What travels through the agent: rows that samplers take, and the moments they are taken at.

Before it on the pipe: nothing. After it: everything. Invariant: a row has one value per column of its measurement, in that order, without ts and
host.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from watchdesk_proto.catalogue import Measurement, Type

Value: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Value, ...]
TimedRow: TypeAlias = tuple[int, Row]  # ts in microseconds since 1970 UTC, then the row


@dataclass(frozen=True, slots=True)
class Instant:
    """When a sampler is asked: the slot that its rows belong to, and the real moment, to measure rates with."""

    slot_us: int
    monotonic_s: float


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows of one measurement on their way to the spool. `interval_us` lies between their slots; None where rows have no slots."""

    measurement: Measurement
    rows: Sequence[TimedRow]
    interval_us: int | None = None


class Cause(StrEnum):
    """Why a slot holds no sample."""

    OVERLOAD = "overload"  # the agent did not get to it in time
    SUSPEND = "suspend"  # the host slept
    CLOCK_STEP = "clock_step"  # the wall clock was set across it
    STALE = "stale"  # the sampler had not come back from an earlier slot
    FAILURE = "failure"  # the sampler failed
    ABSENT = "absent"  # what the sampler measures, and did measure before, was not there
    AGENT_DOWN = "agent_down"  # the agent was not running
    HOST_DOWN = "host_down"  # the host was not running
    SPOOL_OVERFLOW = "spool_overflow"  # it was sampled, and the spool had no room to keep it until it could be sent
    REJECTED = "rejected"  # it was sampled and sent, and the collector refused it


class Sampler(Protocol):
    """Takes one measurement at each of its slots."""

    @property
    def name(self) -> str:
        """What configuration and self-measurements call it."""
        ...

    @property
    def measurement(self) -> Measurement:
        """What its rows are."""
        ...

    @property
    def interval_s(self) -> float:
        """Its default cadence."""
        ...

    @property
    def may_block(self) -> bool:
        """Whether reading can hang (a dead mount): it then gets its own thread and a time box."""
        ...

    def sample(self, at: Instant) -> Sequence[Row]:
        """Take the rows of one slot; none when there is nothing to tell yet, as before a first rate. **Errors**: OSError counts as a failure."""
        ...


def check_rows(measurement: Measurement, rows: Sequence[Row]) -> None:
    """**Errors**: ValueError when a row has not one value per column, or a text where a number belongs, or the reverse."""
    are_texts = [column.type is Type.TEXT for column in measurement.columns]
    for row in rows:
        if len(row) != len(are_texts):
            raise ValueError(f"a row of {measurement.name} has {len(row)} values for {len(are_texts)} columns")
        for column, is_text, value in zip(measurement.columns, are_texts, row, strict=True):
            if value is not None and isinstance(value, str) is not is_text:
                raise ValueError(f"{measurement.name}.{column.name} is a {column.type} and cannot be {value!r}")
