"""From rows of a panel's query to a chart's series: one value per slot, None where there is none. Pure.

Before it: `queries.panel_rows`. After it: `drawing` for pages without JavaScript, the JSON of `api.series` for those with. Invariant: both draw the
same numbers and the same gaps.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from watchdesk_collector.web.gaps import Band, Gap, build_bands
from watchdesk_collector.web.panels import Line, Panel, Role
from watchdesk_collector.web.queries import Slots

MIN_SLOTS = 30
MAX_PARTS = 6  # more devices than this in one chart cannot be told apart

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line or area.

    `colour` is its place in the palette; the directions of one device share it. `low` and `high` bound its samples, empty when the panel has no band.
    `step` is the usual distance of its values, in slots.
    """

    name: str
    role: Role
    colour: int
    values: Values
    low: Values = ()
    high: Values = ()
    step: float = 1

    @property
    def latest(self) -> float | None:
        return next((value for value in reversed(self.values) if value is not None), None)

    @property
    def longest_stride(self) -> float:
        """Two values further apart than this many slots have a gap between them."""
        return self.step * 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A panel with its series and its gaps; `left_out` counts the parts for which there was no room."""

    panel: Panel
    slots: Slots
    series: tuple[Series, ...]
    left_out: int
    bands: tuple[Band, ...] = ()

    @property
    def is_empty(self) -> bool:
        return all(value is None for series in self.series for value in series.values)


def build_chart(panel: Panel, rows: Iterable[Mapping[str, Any]], slots: Slots) -> Chart:
    """The busiest `MAX_PARTS` parts, in the order of their names, so that colours stay from one refresh to the next; areas of nothing but zero go."""
    rows_by_part: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if 0 <= row["slot"] < slots.count:
            rows_by_part.setdefault(row.get("part", ""), []).append(row)
    shown = sorted(_busiest(panel, rows_by_part))
    series = [
        _build_series(line, part, rows_by_part[part], slots.count, colour=place if part else index)
        for place, part in enumerate(shown)
        for index, line in enumerate(panel.lines)
    ]
    worth_showing = tuple(one for one in series if one.role is not Role.AREA or any(one.values))
    return Chart(panel=panel, slots=slots, series=worth_showing, left_out=len(rows_by_part) - len(shown))


def from_first_sight(charts: Sequence[Chart], first_seen_at: datetime) -> list[Chart]:
    """Without the empty time before a host was first heard of, so that a young host's charts are not a sliver at their right edge.

    What was sampled before that and sent later stays; so do `MIN_SLOTS`.
    """
    if not charts:
        return []
    slots = charts[0].slots
    sampled = [index for chart in charts for series in chart.series for index, value in enumerate(series.values) if value is not None]
    start = min([(first_seen_at - slots.since) // slots.width, slots.count - MIN_SLOTS, *sampled])
    return [_without_first(chart, start) for chart in charts] if start > 0 else list(charts)


def with_bands(charts: Iterable[Chart], gaps: Sequence[Gap]) -> list[Chart]:
    """The charts with the gaps of their measurements."""
    return [replace(chart, bands=build_bands(gaps, chart.panel.table, chart.slots)) for chart in charts]


def runs(series: Series) -> list[list[int]]:
    """The slots that have a value, cut where there is a gap."""
    found: list[list[int]] = []
    for index, value in enumerate(series.values):
        if value is None:
            continue
        if found and index - found[-1][-1] <= series.longest_stride:
            found[-1].append(index)
        else:
            found.append([index])
    return found


def _without_first(chart: Chart, count: int) -> Chart:
    slots = replace(chart.slots, since=chart.slots.at(count), count=chart.slots.count - count)
    series = [replace(one, values=one.values[count:], low=one.low[count:], high=one.high[count:]) for one in chart.series]
    return replace(chart, slots=slots, series=tuple(series))


def _busiest(panel: Panel, rows_by_part: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    def load(part: str) -> float:
        return sum(row[line.column] or 0.0 for row in rows_by_part[part] for line in panel.lines)

    return sorted(rows_by_part, key=load, reverse=True)[:MAX_PARTS]


def _build_series(line: Line, part: str, rows: Sequence[Mapping[str, Any]], count: int, *, colour: int) -> Series:
    values = _spread(line.column, rows, count)
    return Series(
        name=f"{part} {line.name}".strip(),
        role=line.role,
        colour=colour,
        values=values,
        low=_spread(line.low, rows, count) if line.low else (),
        high=_spread(line.high, rows, count) if line.high else (),
        step=_usual_step(values),
    )


def _spread(column: str, rows: Iterable[Mapping[str, Any]], count: int) -> Values:
    values: list[float | None] = [None] * count
    for row in rows:
        values[row["slot"]] = row[column]
    return tuple(values)


def _usual_step(values: Values) -> float:
    """A sampler that is slower than a slot leaves slots empty without there being a gap."""
    filled = [index for index, value in enumerate(values) if value is not None]
    return statistics.median(after - before for before, after in pairwise(filled)) if len(filled) > 1 else 1
