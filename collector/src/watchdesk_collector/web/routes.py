"""Every address the collector answers. Adding a page: its handler in a file, its line here."""

from aiohttp import web

from watchdesk_collector.web import api, events, health, pages, static_files

ROUTES: tuple[web.RouteDef, ...] = (
    web.get("/", pages.status),
    web.get("/hosts/{name}", pages.host),
    web.get("/hosts/{name}/fragment", pages.host_fragment),
    web.get("/fragments/status", pages.status_fragment),
    web.get("/events", events.events),
    web.get("/api/v1/hosts", api.hosts),
    web.get("/api/v1/hosts/{name}/series", api.series),
    web.get("/api/v1/alerts", api.alerts),
    web.get("/healthz", health.healthz),
    web.get("/metrics", health.metrics),
    web.get("/static/{path:.+}", static_files.static_file),
)
