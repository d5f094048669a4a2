"""Every address the collector answers. Adding a page: its handler in a file, its line here."""

from aiohttp import web

from watchdesk_collector.web import health, static_files

ROUTES: tuple[web.RouteDef, ...] = (
    web.get("/healthz", health.healthz),
    web.get("/metrics", health.metrics),
    web.get("/static/{path:.+}", static_files.static_file),
)
