"""Pictures as SVG paths: sparklines, 24-hour bars and the charts of pages without JavaScript. Pure.

Coordinates are small whole numbers (a slot is one unit wide, a picture `HEIGHT` high) that CSS stretches to the space there is: the paths of 500
hosts stay small, and a picture fits every screen. Colours and strokes are the stylesheet's.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby

from watchdesk_collector.web.gaps import Band
from watchdesk_collector.web.panels import Role, Unit
from watchdesk_collector.web.queries import Slots
from watchdesk_collector.web.series import Chart, Series, Values, runs

HEIGHT = 100
_SPARK_HEIGHT = 24
_TIME_LABELS = 5

Points = Sequence[tuple[int, float]]


class SlotState(StrEnum):
    """What a probe found in one slot of a bar."""

    UP = "up"
    PARTIAL = "partial"  # some attempts failed
    DOWN = "down"
    NO_DATA = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring slots of a bar in the same state."""

    state: SlotState
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The value axis: `labels` stand at equal distances from top to bottom."""

    low: float
    high: float
    labels: tuple[float, ...]

    def y(self, value: float) -> float:
        """Downwards from the top, clipped to the picture."""
        share = (value - self.low) / (self.high - self.low)
        return HEIGHT * (1 - min(max(share, 0), 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A path and how the stylesheet draws it: "band", or the role of its series, in the colour of it."""

    kind: str
    colour: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A chart, ready for the template."""

    axis: Axis
    strokes: tuple[Stroke, ...]
    bands: tuple[Band, ...]
    times: tuple[datetime, ...]
    width: int


def spark(values: Sequence[float | None]) -> str:
    """A line over shares from 0 to 1, one unit per slot; empty without values."""
    pieces: list[str] = []
    previous: int | None = None
    for x, value in enumerate(values):
        if value is None:
            previous = None
            continue
        y = round(_SPARK_HEIGHT * (1 - min(max(value, 0), 1)))
        pieces.append(f"M{x} {y}h0" if previous is None else f"l1 {y - previous}")
        previous = y
    return "".join(pieces)


def bar(states: Iterable[SlotState]) -> tuple[Run, ...]:
    """The runs of a 24-hour bar."""
    found: list[Run] = []
    start = 0
    for state, group in groupby(states):
        length = sum(1 for _ in group)
        found.append(Run(state=state, start=start, length=length))
        start += length
    return tuple(found)


def draw(chart: Chart) -> Drawing:
    """Areas first, then bands, lines and limits, so that nothing is hidden."""
    axis = axis_for(chart)
    strokes = [*_stack(chart, axis), *_bands(chart, axis), *_lines(chart, axis)]
    return Drawing(axis=axis, strokes=tuple(strokes), bands=chart.bands, times=time_labels(chart.slots), width=chart.slots.count - 1)


def axis_for(chart: Chart) -> Axis:
    """From zero to a round number above all values; symmetric when one direction is drawn below zero."""
    high = chart.panel.ceiling or round_up(_highest(chart), chart.panel.unit)
    if any(series.role is Role.BELOW for series in chart.series):
        return Axis(low=-high, high=high, labels=(high, high / 2, 0.0, high / 2, high))
    return Axis(low=0.0, high=high, labels=(high, high / 2, 0.0))


def round_up(value: float, unit: Unit) -> float:
    """The next number above that is round and halves into a round one; for bytes in binary."""
    if value <= 0:
        return 1.0
    if unit in (Unit.BYTES, Unit.BYTES_PER_SECOND):
        power = 2.0 ** math.floor(math.log2(max(value, 1024.0)))
        return next(step * power for step in (1, 1.5, 2) if step * power >= value)
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 4, 6, 8, 10, 20) if step * magnitude >= value)


def time_labels(slots: Slots) -> tuple[datetime, ...]:
    """At equal distances from the first to the last moment."""
    span = slots.until - slots.since
    return tuple(slots.since + span * index / (_TIME_LABELS - 1) for index in range(_TIME_LABELS))


def time_format(span: timedelta) -> str:
    """Of the labels below a chart."""
    return "%H:%M" if span <= timedelta(days=1) else "%d %b"


def stacked(areas: Sequence[Series]) -> list[Values]:
    """The upper edges of areas that stand on each other; a slot without any value stays empty."""
    edges: list[Values] = []
    below: Values = (0.0,) * (len(areas[0].values) if areas else 0)
    for area in areas:
        below = tuple(
            None if value is None and all(other.values[slot] is None for other in areas) else (base or 0.0) + (value or 0.0)
            for slot, (base, value) in enumerate(zip(below, area.values, strict=True))
        )
        edges.append(below)
    return edges


def _highest(chart: Chart) -> float:
    areas = [series for series in chart.series if series.role is Role.AREA]
    others = [values for series in chart.series for values in (series.values, series.high)]
    return max((value for values in (*others, *stacked(areas)) for value in values if value is not None), default=0.0)


def _stack(chart: Chart, axis: Axis) -> Iterable[Stroke]:
    areas = [series for series in chart.series if series.role is Role.AREA]
    lower: Values = (0.0,) * chart.slots.count
    for series, upper in zip(areas, stacked(areas), strict=True):
        pieces = [_closed(_points(upper, run, axis), _points(lower, run, axis)) for run in runs(series)]
        yield Stroke(kind="area", colour=series.colour, path="".join(pieces))
        lower = upper


def _bands(chart: Chart, axis: Axis) -> Iterable[Stroke]:
    for series in chart.series:
        if series.high:
            pieces = [_closed(_points(series.high, run, axis), _points(series.low, run, axis)) for run in runs(series)]
            yield Stroke(kind="band", colour=series.colour, path="".join(pieces))


def _lines(chart: Chart, axis: Axis) -> Iterable[Stroke]:
    for series in chart.series:
        if series.role is Role.AREA:
            continue
        sign = -1 if series.role is Role.BELOW else 1
        pieces = [_open([(x, axis.y(sign * (series.values[x] or 0.0))) for x in run]) for run in runs(series)]
        yield Stroke(kind="line" if series.role is Role.BELOW else series.role, colour=series.colour, path="".join(pieces))


def _points(values: Values, run: Sequence[int], axis: Axis) -> Points:
    return [(x, axis.y(values[x] or 0.0)) for x in run]


def _open(points: Points) -> str:
    """A single point gets a length of zero, which round line ends turn into a dot."""
    first, *rest = points
    return f"M{first[0]} {_short(first[1])}" + ("".join(f"L{x} {_short(y)}" for x, y in rest) or "h0")


def _closed(upper: Points, lower: Points) -> str:
    outline = [*upper, *reversed(lower)]
    return _open(outline) + "Z" if len(upper) > 1 else ""


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
