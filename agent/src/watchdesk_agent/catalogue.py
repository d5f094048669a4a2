"""Every measurement that this agent can take, in one place: the source of the built-in catalogue and of docs/metrics.md.

`make docs` writes both; a test holds the files against it byte for byte.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from watchdesk_proto.catalogue import Column, Measurement, dump

from watchdesk_agent.logs.measurements import LOG, LOG_SOURCE
from watchdesk_agent.probes.measurement import MEASUREMENT as PROBE
from watchdesk_agent.sampling import SAMPLERS, SamplingContext, SamplingFilters
from watchdesk_agent.self_measurements import SELF_MEASUREMENTS

CATALOGUE_FILE = Path("proto/src/watchdesk_proto/catalogue.json")
METRICS_FILE = Path("docs/metrics.md")


def all_measurements() -> tuple[Measurement, ...]:
    """Samplers' measurements in the order of `SAMPLERS`, then those of probes, logs and the agent itself."""
    context = SamplingContext(filters=SamplingFilters(), clock_offset_s=lambda: None, agent_version="")
    return (*(make(context).measurement for make in SAMPLERS), PROBE, LOG, LOG_SOURCE, *SELF_MEASUREMENTS)


def render_metrics(measurements: Sequence[Measurement]) -> str:
    """docs/metrics.md: a table per measurement, in the given order."""
    return "\n".join([_INTRODUCTION, *(_render_measurement(measurement) for measurement in measurements)])


_INTRODUCTION = """\
# Measurements

Every measurement is a table of that name in SQL and in rules. Each row also has `ts`, the slot it was taken for (UTC), and `host`, the host's name.
Units stand in the names: `_seconds`, `_bytes`, `_ratio` (0 to 1), `_per_second`; `_total` is a counter, which only grows until its source restarts.
A field is null where the host does not tell it. Rates are null in the first sample, and in the one after a counter was reset.
Shares are rounded to 0.00001, rates to 0.01, and means of seconds to a microsecond.

This page is written from the agent's samplers by `make docs`; edit them, not it.
"""


def _render_measurement(measurement: Measurement) -> str:
    rows = "\n".join(_render_column(column) for column in measurement.columns)
    return f"## {measurement.name}\n\n{measurement.help}\n\n| column | kind | type | meaning |\n|---|---|---|---|\n{rows}\n"


def _render_column(column: Column) -> str:
    return f"| `{column.name}` | {column.kind} | {column.type} | {column.help} |"


def files() -> Iterable[tuple[Path, str]]:
    """What is written from the catalogue: path within a checkout, content."""
    measurements = all_measurements()
    yield CATALOGUE_FILE, dump(measurements)
    yield METRICS_FILE, render_metrics(measurements)
