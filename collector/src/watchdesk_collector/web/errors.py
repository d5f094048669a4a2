"""Errors as people and programs want them: a page that says what to do next, JSON for API paths."""

import logging

from aiohttp import web

from watchdesk_collector.web.auth import Handler
from watchdesk_collector.web.rendering import TEMPLATES

log = logging.getLogger(__name__)

_TITLES = {
    400: "This request makes no sense here",
    401: "A token is needed",
    403: "Not allowed",
    404: "There is nothing here",
    405: "That cannot be done here",
    413: "Too much at once",
    421: "Wrong name",
    500: "Something broke",
    503: "Not now",
}
_HINTS = {
    404: "No page has this address.",
    405: "The address is right, the method is not.",
    500: "The collector logged the details; with systemd: journalctl -u watchdesk-collector.",
}


@web.middleware
async def show_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a handler raises into an answer; a bug is logged with its traceback and answered without it."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _answer(request, error.status, _message_of(error), _kept_headers(error))
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _answer(request, 500, _HINTS[500], {})


def _answer(request: web.Request, status: int, message: str, headers: dict[str, str]) -> web.Response:
    if request.path.startswith("/api/"):
        return web.json_response({"error": {"message": message}}, status=status, headers=headers)
    page = request.app[TEMPLATES].render("error.html", title=_TITLES.get(status, "That did not work"), status=status, message=message)
    return web.Response(text=page, content_type="text/html", status=status, headers=headers)


def _message_of(error: web.HTTPException) -> str:
    """The handler's own words; aiohttp's default text ("404: Not Found") says nothing that the status does not."""
    own = error.text if error.text and not error.text.startswith(f"{error.status}:") else None
    return own or _HINTS.get(error.status, error.reason)


def _kept_headers(error: web.HTTPException) -> dict[str, str]:
    return {name: error.headers[name] for name in ("Allow", "WWW-Authenticate", "Retry-After") if name in error.headers}
