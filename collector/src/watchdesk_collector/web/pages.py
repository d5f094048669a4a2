"""The pages people read. Each works without JavaScript; the fragments are what scripts swap in when there is something fresh."""

from collections.abc import Sequence

from aiohttp import web

from watchdesk_collector.model import Host
from watchdesk_collector.web.deps import DEPS
from watchdesk_collector.web.host_page import DEFAULT_RANGE, RANGES, HostView, Range, build_host, build_panel, range_of
from watchdesk_collector.web.live import LIVE
from watchdesk_collector.web.reading import read_charts, read_host
from watchdesk_collector.web.reads import READS
from watchdesk_collector.web.rendering import TEMPLATES
from watchdesk_collector.web.series import Chart


async def status(request: web.Request) -> web.Response:
    """The overall state, all hosts, probes and alerts."""
    page = await request.app[LIVE].current()
    return _html(request.app[TEMPLATES].render("status.html", page=page))


async def status_fragment(request: web.Request) -> web.Response:
    """What `status` shows, without the frame around it."""
    page = await request.app[LIVE].current()
    return _html(page.fragment, version=page.version)


async def host(request: web.Request) -> web.Response:
    """One host: charts over a range, facts, alerts, probes, log errors."""
    range = find_range(request)
    view = await _read_view(request)
    panels = [build_panel(chart) for chart in await find_charts(request, range)]
    return _html(request.app[TEMPLATES].render("host.html", view=view, panels=panels, range=range, ranges=RANGES))


async def host_fragment(request: web.Request) -> web.Response:
    """What `host` shows but its charts."""
    view = await _read_view(request)
    return _html(request.app[TEMPLATES].render("host_fragment.html", view=view))


def find_host(request: web.Request) -> Host:
    """The host that the address names. **Errors**: HTTPNotFound."""
    name = request.match_info["name"]
    found = request.app[DEPS].hosts.by_name(name)
    if found is None:
        raise web.HTTPNotFound(text=f"No host is called {name!r}; the status page lists those there are.")
    return found


def find_range(request: web.Request) -> Range:
    """The range asked for, the first one when none is. **Errors**: HTTPBadRequest."""
    wanted = request.query.get("range", DEFAULT_RANGE.id)
    found = range_of(wanted)
    if found is None:
        raise web.HTTPBadRequest(text=f"range must be one of {', '.join(range.id for range in RANGES)}, not {wanted!r}.")
    return found


async def find_charts(request: web.Request, range: Range) -> Sequence[Chart]:
    """The charts of the host that the address names."""
    deps = request.app[DEPS]
    return await request.app[READS].run(read_charts, deps.history, find_host(request), range, deps.clock.now())


async def _read_view(request: web.Request) -> HostView:
    deps, known = request.app[DEPS], find_host(request)
    status = (await request.app[LIVE].current()).view
    row = next((row for row in status.hosts if row.name == known.name), None)
    if row is None:
        raise web.HTTPServiceUnavailable(text=f"{known.name} has only just connected; try again in a moment.", headers={"Retry-After": "5"})
    readings = await request.app[READS].run(read_host, deps, known, status.at)
    return build_host(known, row, status, readings)


def _html(text: str, *, version: str = "") -> web.Response:
    response = web.Response(text=text, content_type="text/html")
    if version:
        response.headers["X-Version"] = version
    response.enable_compression()
    return response
