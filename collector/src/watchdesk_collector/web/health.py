"""`/healthz` for supervisors and load balancers, `/metrics` for Prometheus."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web
from prometheus_client import exposition
from sqlalchemy import text

from watchdesk_collector.web import queries
from watchdesk_collector.web.deps import DEPS, WebDeps
from watchdesk_collector.web.reads import READS

_LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What was found; `history` and `ops` are None when they answered, `ingest` when samples are stored, else why not."""

    history: str | None
    ingest: str | None
    ops: str | None
    last_commit_at: datetime | None

    @property
    def ok(self) -> bool:
        return self.history is None and self.ingest is None and self.ops is None


async def healthz(request: web.Request) -> web.Response:
    """200 when history and ops.db can be read and samples are stored, else 503.

    The age of the newest commit informs and decides nothing, for agents may be few.
    """
    deps = request.app[DEPS]
    health = await request.app[READS].run(read_health, deps)
    return web.json_response(_to_json(health, deps), status=200 if health.ok else 503)


async def metrics(request: web.Request) -> web.Response:
    """The collector's own numbers, in the Prometheus text format."""
    body = exposition.generate_latest(request.app[DEPS].metrics.registry)
    return web.Response(body=body, headers={"Content-Type": exposition.CONTENT_TYPE_LATEST})


def read_health(deps: WebDeps) -> Health:
    """Asks both stores; what they raise is the finding, whatever it is."""
    history, last_commit_at = _read_history(deps)
    return Health(history=history, ingest=deps.ailment(), ops=_read_ops(deps), last_commit_at=last_commit_at)


def _read_history(deps: WebDeps) -> tuple[str | None, datetime | None]:
    try:
        return None, queries.last_commit_at(deps.history, since=deps.clock.now() - _LOOK_BACK)
    except Exception as error:
        return str(error), None


def _read_ops(deps: WebDeps) -> str | None:
    try:
        with deps.ops.connect() as connection:
            connection.execute(text("SELECT 1"))
    except Exception as error:
        return str(error)
    return None


def _to_json(health: Health, deps: WebDeps) -> dict[str, object]:
    now = deps.clock.now()
    age = None if health.last_commit_at is None else round((now - health.last_commit_at).total_seconds(), 3)
    return {
        "ok": health.ok,
        "version": deps.version,
        "uptime_seconds": round((now - deps.started_at).total_seconds(), 3),
        "history": {"ok": health.history is None, "error": health.history, "last_commit_age_seconds": age},
        "ingest": {"ok": health.ingest is None, "error": health.ingest},
        "ops": {"ok": health.ops is None, "error": health.ops},
    }
