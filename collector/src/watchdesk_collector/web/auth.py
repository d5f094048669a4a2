"""Who may ask: the API token, and checks of Host and Origin that keep other sites' pages out.

Until there are logins, the pages are served on loopback alone (`web/config.py` refuses anything else). A browser on this machine could still be made
to ask by a foreign page, through DNS rebinding (a foreign name that resolves to 127.0.0.1) or a cross-site form: the Host allow-list stops the
first, the Origin check the second. Invariant: no handler runs for a request under a name that is not ours.
"""

import functools
import hmac
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from watchdesk_collector.listen import parse_listen
from watchdesk_collector.web.config import WebConfig
from watchdesk_collector.web.deps import DEPS

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def require_token(handler: Handler) -> Handler:
    """The handler, for requests that carry `Authorization: Bearer <api token>`; 401 for all others."""

    @functools.wraps(handler)
    async def guarded(request: web.Request) -> web.StreamResponse:
        if not _bears(request.headers.get("Authorization", ""), request.app[DEPS].api_token):
            raise web.HTTPUnauthorized(
                text="This needs the header 'Authorization: Bearer <token>'; the API token stands in api.token in the state directory.",
                headers={"WWW-Authenticate": 'Bearer realm="watchdesk"'},
            )
        return await handler(request)

    return guarded


@web.middleware
async def check_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses requests under a foreign name (421) and changes that a foreign page asks for (403)."""
    allowed = allowed_names(request.app[DEPS].config)
    if _name_of(request.headers.get("Host", "")) not in allowed:
        raise web.HTTPMisdirectedRequest(text="This collector is not known under that name; add it to web.hosts in the collector's configuration.")
    if request.method not in _SAFE_METHODS and not _is_own_origin(request.headers.get("Origin"), allowed):
        raise web.HTTPForbidden(text="Changes are taken from this collector's own pages and from programs, not from other sites.")
    return await handler(request)


def allowed_names(config: WebConfig) -> frozenset[str]:
    """Names, lower case and without port, that the Host header may carry."""
    address, _ = parse_listen(config.listen)
    return _LOOPBACK_NAMES | {address.lower()} | {name.lower() for name in config.hosts}


def _bears(authorization: str, token: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _name_of(host_header: str) -> str:
    """Give "localhost" of "localhost:9780", "::1" of "[::1]:9780"; empty when it is no host at all."""
    try:
        return urlsplit(f"//{host_header}").hostname or ""
    except ValueError:
        return ""


def _is_own_origin(origin: str | None, allowed: frozenset[str]) -> bool:
    """No Origin means no browser page; "null" (a sandboxed frame, a file) is foreign."""
    if origin is None:
        return True
    try:
        return (urlsplit(origin).hostname or "") in allowed
    except ValueError:
        return False
