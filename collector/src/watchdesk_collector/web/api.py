"""What programs read: hosts, alerts, and the series behind a host's charts. JSON; times are ISO 8601 in UTC."""

from aiohttp import web

from watchdesk_collector.ops.alerts import Alert
from watchdesk_collector.web.deps import DEPS
from watchdesk_collector.web.drawing import axis_for
from watchdesk_collector.web.gaps import summary
from watchdesk_collector.web.live import LIVE
from watchdesk_collector.web.pages import find_charts, find_host, find_range
from watchdesk_collector.web.series import Chart, Series, Values
from watchdesk_collector.web.words import iso

_DIGITS = 6  # significant, of a value in a chart


async def hosts(request: web.Request) -> web.Response:
    """Every host with its state, worst first."""
    known = {host.name: host for host in request.app[DEPS].hosts.list()}
    page = await request.app[LIVE].current()
    rows = [(row, known[row.name]) for row in page.view.hosts if row.name in known]
    found = [
        {
            "host": row.name,
            "state": row.state,
            "reason": row.reason,
            "connected": host.connected,
            "first_seen_at": iso(host.first_seen_at),
            "last_seen_at": iso(host.last_seen_at),
            "agent_id": host.agent_id,
            "agent_version": host.agent_version,
            "clock_offset_seconds": host.clock_offset_s,
            "clock_is_off": host.clock_is_off,
            "cpu_busy_ratio": row.cpu.latest,
            "memory_used_ratio": row.memory.latest,
            "disk_used_ratio": row.disk.latest,
        }
        for row, host in rows
    ]
    return web.json_response({"hosts": found})


async def alerts(request: web.Request) -> web.Response:
    """Firing alerts, worst first, and the ones that were resolved last."""
    view = (await request.app[LIVE].current()).view
    return web.json_response({"firing": [_alert(alert) for alert in view.firing], "recent": [_alert(alert) for alert in view.recent]})


async def series(request: web.Request) -> web.Response:
    """The charts of one host over `range`.

    **Shapes**: `times` are seconds since 1970 of each slot's start; every series has one value per slot, null where there is no sample.
    """
    range, host = find_range(request), find_host(request)
    charts = await find_charts(request, range)
    response = web.json_response({"host": host.name, "range": range.id, "charts": [_chart(chart) for chart in charts]})
    response.enable_compression()
    return response


def _chart(chart: Chart) -> dict[str, object]:
    slots, axis = chart.slots, axis_for(chart)
    return {
        "id": chart.panel.id,
        "title": chart.panel.title,
        "unit": chart.panel.unit,
        "low": axis.low,
        "high": axis.high,
        "slot_seconds": slots.width.total_seconds(),
        "times": [slots.at(index).timestamp() for index in range(slots.count)],
        "series": [_series(one) for one in chart.series],
        "left_out": chart.left_out,
        "gaps": [
            {"since": band.gap.since.timestamp(), "until": band.gap.until.timestamp(), "cause": band.gap.cause, "words": band.words}
            for band in chart.bands
        ],
        "gap_words": summary(chart.bands),
    }


def _series(series: Series) -> dict[str, object]:
    found: dict[str, object] = {
        "name": series.name,
        "role": series.role,
        "colour": series.colour,
        "values": _rounded(series.values),
        "longest_stride": series.longest_stride,
    }
    if series.high:
        found |= {"low": _rounded(series.low), "high": _rounded(series.high)}
    return found


def _rounded(values: Values) -> list[float | None]:
    return [None if value is None else float(f"{value:.{_DIGITS}g}") for value in values]


def _alert(alert: Alert) -> dict[str, object]:
    return {
        "incident_id": alert.incident_id,
        "rule": alert.rule,
        "severity": alert.severity,
        "host": alert.host,
        "labels": dict(alert.labels),
        "state": alert.state,
        "value": alert.value,
        "summary": alert.summary,
        "since": iso(alert.since),
        "fired_at": iso(alert.fired_at),
        "resolved_at": iso(alert.resolved_at) if alert.resolved_at else None,
        "reason": alert.reason,
        "held": alert.held,
    }
