"""Every address the collector answers. Adding a page: its handler in a file, its line here."""

from aiohttp import web

from watchdesk_collector.web import api, api_admin, api_sql, events, health, pages, static_files

ROUTES: tuple[web.RouteDef, ...] = (
    web.get("/", pages.status),
    web.get("/hosts/{name}", pages.host),
    web.get("/hosts/{name}/fragment", pages.host_fragment),
    web.get("/fragments/status", pages.status_fragment),
    web.get("/events", events.events, allow_head=False),
    web.get("/api/v1/hosts", api.hosts),
    web.get("/api/v1/hosts/{name}/series", api.series),
    web.get("/api/v1/alerts", api.alerts),
    web.post("/api/v1/sql", api_sql.sql),
    web.get("/api/v1/silences", api_admin.list_silences),
    web.post("/api/v1/silences", api_admin.add_silence),
    web.delete("/api/v1/silences/{id}", api_admin.remove_silence),
    web.delete("/api/v1/hosts/{name}", api_admin.remove_host),
    web.post("/api/v1/notify/test", api_admin.test_notify),
    web.get("/healthz", health.healthz),
    web.get("/metrics", health.metrics),
    web.get("/static/{path:.+}", static_files.static_file),
)
