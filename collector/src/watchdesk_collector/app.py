"""The composition root: knows every concrete class, holds no logic. Starts the parts in the order of the pipe, stops them in reverse.

One event loop; one writer thread for history, ever; ops.db and queries in threads. What a loop raises ends the collector: systemd starts it again,
agents keep what was not acked.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from watchdesk_proto.catalogue import builtin
from watchdesk_proto.sd_notify import notify, watchdog_interval_s

from watchdesk_collector import __version__
from watchdesk_collector.alerting.engine import AlertEngine
from watchdesk_collector.alerting.rule_file import load_rules
from watchdesk_collector.alerting.rules import Rule
from watchdesk_collector.clock import Clock, SystemClock
from watchdesk_collector.config import Config
from watchdesk_collector.dispatch.dispatcher import Dispatcher
from watchdesk_collector.history import History, HistoryError, Recovery
from watchdesk_collector.history.steps import Steps, pass_by
from watchdesk_collector.ingest import Committer, IngestService, RefusalLog, Roster, Upkeep, create_server
from watchdesk_collector.jobs import Job, start_jobs
from watchdesk_collector.listen import ListenError
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Hole
from watchdesk_collector.notify.heartbeat import Heartbeat
from watchdesk_collector.notify.notifiers import NotifyTest, make_notifiers
from watchdesk_collector.notify.sender import OutboxSender
from watchdesk_collector.ops.attendance import AttendanceBook
from watchdesk_collector.ops.database import open_ops
from watchdesk_collector.ops.hosts import HostDirectory
from watchdesk_collector.sql.runner import SqlRunner
from watchdesk_collector.tokens import TokenError, ensure_token, read_token
from watchdesk_collector.web.deps import WebDeps
from watchdesk_collector.web.server import WebServer

STOP_GRACE_S = 2.0
ALIVE_EVERY_S = 5.0  # how exactly a crash of the collector is dated

T = TypeVar("T")
Loop = Callable[[], Awaitable[None]]
log = logging.getLogger(__name__)


class StartError(Exception):
    """The collector can't run; the message names the thing and the remedy."""


def calendar(upkeep: Upkeep) -> Sequence[Job]:
    """What happens by the clock."""
    return (
        Job(name="compact", cron="7 * * * *", run=upkeep.compact),
        Job(name="retain", cron="37 * * * *", run=upkeep.retain),
    )


class Writer:
    """The one thread that writes history. Calling it runs a function there."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="history-writer")

    def __call__(self, function: Callable[..., T], *args: object) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._executor, function, *args)

    def close(self) -> None:
        self._executor.shutdown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What nearly every part is made with: settings, time, counters, and the opened stores."""

    config: Config
    clock: Clock
    metrics: Metrics
    history: History
    on_writer: Writer
    ops: sa.Engine
    hosts: HostDirectory
    attendance: AttendanceBook


async def run(config: Config, *, clock: Clock | None = None, steps: Steps = pass_by, jobs: Callable[[Upkeep], Sequence[Job]] = calendar) -> None:
    """Run until SIGTERM or SIGINT. **Errors**: ConfigError for wrong rules, StartError for anything else that keeps it from starting.

    The self-test gives a clock that it can set, steps that end the process in the middle of history's work, and jobs that don't wait for the hour.
    """
    rules = load_rules(config.alerting.rules, builtin(), builtin=config.alerting.builtin)
    stop = _stop_signal()
    try:
        async with AsyncExitStack() as stack:
            shared = await stack.enter_async_context(_open_stores(config, clock or SystemClock(), steps))
            loops = await _start(stack, shared, rules, jobs)
            notify("READY=1", "STATUS=running")
            log.info("the collector runs: agents at %s, pages at http://%s", config.ingest.listen, config.web.listen)
            await _run_until(stop, loops)
            notify("STOPPING=1")
            log.info("the collector stops")
    except (HistoryError, ListenError, TokenError) as error:
        raise StartError(str(error)) from error


async def _start(stack: AsyncExitStack, shared: Shared, rules: Sequence[Rule], jobs: Callable[[Upkeep], Sequence[Job]]) -> Sequence[Loop]:
    """Everything behind the stores; servers listen when it returns, loops are the caller's to run."""
    roster = Roster()
    committer = _committer(shared)
    upkeep = Upkeep(
        history=shared.history,
        on_writer=shared.on_writer,
        roster=roster,
        hosts=shared.hosts,
        interval_s=shared.config.history.checkpoint_interval,
    )
    notify_config = shared.config.notify
    notifiers = make_notifiers(notify_config, shared.clock)
    notify_test = NotifyTest(notifiers=notifiers, clock=shared.clock, base_url=notify_config.base_url)
    await stack.enter_async_context(_ingest(shared, committer, roster))
    await stack.enter_async_context(_web(shared, committer, notify_test, rules))
    stack.enter_context(_running(jobs(upkeep)))
    engine = _alert_engine(shared, rules)
    sender = OutboxSender(engine=shared.ops, notifiers=notifiers, retry=shared.config.notify.retry, clock=shared.clock, metrics=shared.metrics)
    heartbeat = Heartbeat(config=shared.config.heartbeat, ailment=committer.ailment, metrics=shared.metrics)
    return (committer.run, upkeep.run, engine.run, sender.run, heartbeat.run, _alive(shared.attendance), _watchdog(shared.on_writer, roster))


@asynccontextmanager
async def _open_stores(config: Config, clock: Clock, steps: Steps) -> AsyncIterator[Shared]:
    _make_state_dir(config.state_dir)
    metrics = Metrics()
    ops = await asyncio.to_thread(open_ops, config.state_dir / "ops.db")
    hosts, attendance = HostDirectory(ops, clock, clock_tolerance_s=config.ingest.clock_tolerance), AttendanceBook(ops, clock)
    on_writer = Writer()
    history = History(
        path=config.state_dir / "history",
        config=config.history,
        catalogue=builtin(),
        hosts=hosts.everyone,
        attendance=attendance.read,
        clock=clock,
        metrics=metrics,
        steps=steps,
    )
    try:
        _tell_recovery(await on_writer(history.open))
        await asyncio.to_thread(attendance.begin)
        yield Shared(config=config, clock=clock, metrics=metrics, history=history, on_writer=on_writer, ops=ops, hosts=hosts, attendance=attendance)
    finally:
        await on_writer(history.close)
        on_writer.close()
        await asyncio.to_thread(hosts.flush)
        await asyncio.to_thread(attendance.note_alive)
        ops.dispose()


def _committer(shared: Shared) -> Committer:
    def on_durable(entries: Sequence[Arrival | Hole]) -> None:
        shared.hosts.seen({entry.host_id for entry in entries}, shared.clock.now())

    return Committer(
        history=shared.history,
        on_writer=shared.on_writer,
        on_durable=on_durable,
        clock=shared.clock,
        metrics=shared.metrics,
        interval_s=shared.config.ingest.commit_interval,
        max_rows=shared.config.ingest.commit_rows,
        max_queued_bytes=shared.config.ingest.max_queued_bytes,
    )


@asynccontextmanager
async def _ingest(shared: Shared, committer: Committer, roster: Roster) -> AsyncIterator[None]:
    service = IngestService(
        config=shared.config.ingest,
        token=_agent_token(shared.config),
        history=shared.history,
        on_writer=shared.on_writer,
        committer=committer,
        roster=roster,
        hosts=shared.hosts,
        attendance=shared.attendance,
        clock=shared.clock,
        metrics=shared.metrics,
        refusals=RefusalLog(shared.clock),
    )
    server, _ = create_server(shared.config.ingest, service)
    await server.start()
    try:
        yield
    finally:
        roster.end_all("the collector stops")
        await server.stop(STOP_GRACE_S)
        await committer.drain()


@asynccontextmanager
async def _web(shared: Shared, committer: Committer, notify_test: NotifyTest, rules: Sequence[Rule]) -> AsyncIterator[None]:
    deps = WebDeps(
        config=shared.config.web,
        clock=shared.clock,
        history=shared.history,
        ailment=committer.ailment,
        hosts=shared.hosts,
        rules=[rule.name for rule in rules],
        ops=shared.ops,
        metrics=shared.metrics,
        sql=SqlRunner(history=shared.history, folder=shared.config.state_dir / "history" / "parquet", config=shared.config.sql, clock=shared.clock),
        api_token=ensure_token(shared.config.state_dir / "api.token"),
        started_at=shared.clock.now(),
        notify_test=notify_test,
        version=__version__,
    )
    server = WebServer(deps=deps)
    await server.start()
    try:
        yield
    finally:
        await server.stop()


@contextlib.contextmanager
def _running(jobs: Sequence[Job]) -> Iterator[None]:
    scheduler = start_jobs(jobs)
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


def _alert_engine(shared: Shared, rules: Sequence[Rule]) -> AlertEngine:
    dispatcher = Dispatcher(
        receivers=shared.config.notify.receivers(),
        rules=rules,
        hosts=shared.hosts.list,
        config=shared.config.dispatch,
        base_url=shared.config.notify.base_url,
        metrics=shared.metrics,
    )
    return AlertEngine(
        history=shared.history,
        hosts=shared.hosts.list,
        engine=shared.ops,
        rules=rules,
        dispatcher=dispatcher,
        config=shared.config.alerting,
        clock=shared.clock,
        metrics=shared.metrics,
        started_at=shared.clock.now(),
    )


def _alive(attendance: AttendanceBook) -> Loop:
    """Keeps on disk that the collector runs, and what agents said of what they sample."""

    async def note() -> None:
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            await asyncio.to_thread(attendance.note_alive)

    return note


def _watchdog(on_writer: Writer, roster: Roster) -> Loop:
    """Tells systemd that the event loop turns and the writer thread answers."""

    async def beat() -> None:
        while (interval_s := watchdog_interval_s()) is not None:
            await on_writer(lambda: None)
            notify("WATCHDOG=1", f"STATUS={len(roster)} agents connected")
            await asyncio.sleep(interval_s)

    return beat


async def _run_until(stop: asyncio.Event, loops: Sequence[Loop]) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_forever(loop)) for loop in loops]
        await stop.wait()
        for task in tasks:
            task.cancel()


async def _forever(loop: Loop) -> None:
    await loop()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _agent_token(config: Config) -> str:
    return read_token(config.ingest.token_file) if config.ingest.token_file else ensure_token(config.state_dir / "agent.token")


def _make_state_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"state_dir {path} can't be made: {error.strerror}; create it for this user or set state_dir to another") from error


def _tell_recovery(recovery: Recovery) -> None:
    if recovery.parquet_set_aside:
        log.warning("Parquet files without their database are kept in %s", recovery.parquet_set_aside)
    for conflict in recovery.conflicts:
        log.warning("%s", conflict)
