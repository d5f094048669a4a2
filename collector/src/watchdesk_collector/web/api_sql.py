"""`POST /api/v1/sql`: an operator's query in, its rows out; or an error that points into the query."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeAlias

from aiohttp import web

from watchdesk_collector.sql.model import Fault, Format, SqlError, SqlResult
from watchdesk_collector.web.auth import require_token
from watchdesk_collector.web.bodies import read_object
from watchdesk_collector.web.deps import DEPS

Outcome: TypeAlias = SqlResult | SqlError

_LOOK_AFTER_S = 0.25  # how soon it is seen that a client is gone
_KEYS = {"query": str, "format": str, "timeout_s": float, "max_rows": int}
_CONTENT_TYPES = {Format.JSON: "application/json", Format.CSV: "text/csv", Format.ARROW: "application/vnd.apache.arrow.stream"}
_STATUSES = {
    Fault.QUERY: 400,
    Fault.REQUEST: 400,
    Fault.DEADLINE: 408,
    Fault.SIZE: 413,
    Fault.MEMORY: 413,
    Fault.BUSY: 503,
    Fault.HISTORY: 503,
}


@require_token
async def sql(request: web.Request) -> web.Response:
    """The rows in the format asked for; the headers X-Watchdesk-Rows and, when a limit cut the answer short, X-Watchdesk-Truncated."""
    asked = await read_object(request, _KEYS)
    running = request.app[DEPS].sql.run(
        _query(asked), format=_format(asked), timeout_s=asked["timeout_s"], max_rows=asked["max_rows"], asked_by=request.remote or "?"
    )
    outcome = await _while_awaited(request, running)
    return _refuse(outcome) if isinstance(outcome, SqlError) else _answer(outcome)


async def _while_awaited(request: web.Request, running: Coroutine[Any, Any, Outcome]) -> Outcome:
    """The outcome; a client that went away takes its query with it, so that the turn goes to somebody who waits."""
    task = asyncio.ensure_future(running)
    try:
        while not (await asyncio.wait({task}, timeout=_LOOK_AFTER_S))[0]:
            if request.transport is None or request.transport.is_closing():
                raise web.HTTPBadRequest(text="the client went away")
        return task.result()
    finally:
        task.cancel()


def _query(asked: dict[str, Any]) -> str:
    if asked["query"] is None:
        raise web.HTTPBadRequest(text='the body has no query; send {"query": "SELECT * FROM hosts"}')
    return str(asked["query"])


def _format(asked: dict[str, Any]) -> Format:
    written = asked["format"] or Format.JSON
    if written not in list(Format):
        raise web.HTTPBadRequest(text=f"format is {written!r}; it must be one of {', '.join(Format)}")
    return Format(written)


def _answer(result: SqlResult) -> web.Response:
    headers = {"X-Watchdesk-Rows": str(result.rows), "Cache-Control": "no-store"}
    if result.truncated is not None:
        headers["X-Watchdesk-Truncated"] = result.truncated
    charset = None if result.format is Format.ARROW else "utf-8"
    return web.Response(body=result.body, content_type=_CONTENT_TYPES[result.format], charset=charset, headers=headers)


def _refuse(error: SqlError) -> web.Response:
    body = {"message": error.message, "line": error.line, "column": error.column, "excerpt": error.excerpt}
    return web.json_response({"error": body}, status=_STATUSES[error.fault])
