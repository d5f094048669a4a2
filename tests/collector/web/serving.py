"""A collector's web server over a real history and a real ops.db, filled with the made-up company of `seed`."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collector.web import seed
from collector.web.seed import MACHINES, Machine
from fakes import FakeClock
from sqlalchemy import Engine
from watchdesk_collector.history import History, HistoryConfig
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.ops.attendance import AttendanceBook
from watchdesk_collector.ops.database import open_ops
from watchdesk_collector.ops.hosts import HostDirectory
from watchdesk_collector.sql.config import SqlConfig
from watchdesk_collector.sql.runner import SqlRunner
from watchdesk_collector.web.config import WebConfig
from watchdesk_collector.web.deps import WebDeps
from watchdesk_collector.web.server import WebServer
from watchdesk_proto.catalogue import builtin

NOW = datetime(2026, 11, 20, 14, 2, 7, tzinfo=UTC)
TOKEN = "correct-horse"


@dataclass(frozen=True, kw_only=True)
class Stores:
    """What a collector keeps, open, as of `clock`."""

    clock: FakeClock
    ops: Engine
    hosts: HostDirectory
    history: History
    metrics: Metrics
    folder: Path
    ailments: list[str]  # put one in, and ingest fails for it


@contextmanager
def opened_stores(folder: Path, machines: Sequence[Machine] = MACHINES) -> Iterator[Stores]:
    """With a month of these machines in them, and their alerts."""
    clock = FakeClock(NOW)
    ops = open_ops(folder / "ops.db")
    seed.introduce(ops, machines, NOW)
    seed.raise_alerts(ops, machines, NOW)
    hosts = HostDirectory(ops, clock)
    metrics, attendance = Metrics(), AttendanceBook(ops, clock)
    seed.attend(attendance, machines, NOW)
    history = History(
        path=folder / "history",
        config=HistoryConfig(),
        catalogue=builtin(),
        hosts=hosts.everyone,
        attendance=attendance.read,
        clock=clock,
        metrics=metrics,
    )
    history.open()
    try:
        history.commit(list(seed.arrivals(machines, NOW)), [])
        yield Stores(clock=clock, ops=ops, hosts=hosts, history=history, metrics=metrics, folder=folder, ailments=[])
    finally:
        history.close()
        ops.dispose()


@asynccontextmanager
async def serving(stores: Stores, config: WebConfig) -> AsyncIterator[str]:
    """The server's address, while it serves."""
    server = WebServer(deps=deps_of(stores, config))
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


@contextmanager
def serving_beside(stores: Stores, config: WebConfig) -> Iterator[str]:
    """As `serving`, on a thread of its own, for tests that drive a browser."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    served = serving(stores, config)
    try:
        yield asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result(timeout=10)
    finally:
        asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result(timeout=20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def deps_of(stores: Stores, config: WebConfig) -> WebDeps:
    return WebDeps(
        config=config,
        clock=stores.clock,
        history=stores.history,
        ailment=lambda: next(iter(stores.ailments), None),
        hosts=stores.hosts,
        rules=("disk-nearly-full", "host-silent"),
        ops=stores.ops,
        metrics=stores.metrics,
        sql=SqlRunner(history=stores.history, folder=stores.folder / "history", config=SqlConfig(), clock=stores.clock),
        api_token=TOKEN,
        started_at=NOW,
        notify_test=_deliver_to_nobody,
        version="0.1.0",
    )


async def _deliver_to_nobody(receiver: str | None) -> Mapping[str, str | None]:
    del receiver
    return {}
