"""What the agent shows at the terminal: samples of this host, taken now, and the list of all measurements."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from watchdesk_proto.catalogue import Measurement, Type

from watchdesk_agent.clock import Clock, to_us
from watchdesk_agent.model import Instant, Sampler, Samples, Value, check_rows


@dataclass(frozen=True, slots=True)
class Failure:
    """A sampler that gave no samples, and why."""

    sampler: str
    error: str


def take_samples(samplers: Sequence[Sampler], clock: Clock) -> list[Samples | Failure]:
    """One run of each sampler."""
    slot_us = to_us(clock.now())
    return [_take(sampler, Instant(slot_us, clock.monotonic_s())) for sampler in samplers]


def render_json(taken: Iterable[Samples | Failure]) -> str:
    """One object: measurement to a list of rows; a failed sampler to its error."""
    return json.dumps(dict(_to_json(entry) for entry in taken), indent=1, ensure_ascii=False)


def render_text(taken: Iterable[Samples | Failure]) -> str:
    """One line per row: measurement, labels and texts in quotes, numbers."""
    return "\n".join(line for entry in taken for line in _to_lines(entry))


def render_measurements(measurements: Iterable[Measurement]) -> str:
    """One line per column: measurement.column, kind, unit, help."""
    return "\n".join(
        f"{f'{measurement.name}.{column.name}':<44} {column.kind:<8} {column.unit:<8} {column.help}"
        for measurement in measurements
        for column in measurement.columns
    )


def _take(sampler: Sampler, at: Instant) -> Samples | Failure:
    try:
        rows = sampler.sample(at)
    except OSError as error:
        return Failure(sampler.name, str(error))
    check_rows(sampler.measurement, rows)
    return Samples(sampler.measurement, [(at.slot_us, row) for row in rows])


def _to_json(entry: Samples | Failure) -> tuple[str, object]:
    if isinstance(entry, Failure):
        return entry.sampler, {"error": entry.error}
    names = [column.name for column in entry.measurement.columns]
    rows = [{"ts_us": ts_us} | dict(zip(names, map(_finite, row), strict=True)) for ts_us, row in entry.rows]
    return entry.measurement.name, rows


def _to_lines(entry: Samples | Failure) -> Iterator[str]:
    if isinstance(entry, Failure):
        yield f"{entry.sampler} failed: {entry.error}"
        return
    for _, row in entry.rows:
        columns = zip(entry.measurement.columns, row, strict=True)
        yield " ".join([entry.measurement.name, *(f"{c.name}={_written(value, c.type)}" for c, value in columns if _finite(value) is not None)])


def _written(value: Value, type_: Type) -> str:
    if type_ is Type.FLOAT64:
        return f"{value:.6g}" if abs(float(value or 0)) < 1e6 else f"{value:.0f}"
    return json.dumps(value, ensure_ascii=False)


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value
