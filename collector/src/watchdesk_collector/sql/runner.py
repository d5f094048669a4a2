"""Runs operators' queries: guard, snapshot, one worker process each, deadline.

Before it on the pipe: the web's `/api/v1/sql`. Invariant: whatever a query does, `run` returns by its deadline (plus the wait for a turn), its
process is gone by then, and no more than the answer's limit was held of it.
"""

import asyncio
import contextlib
import logging
import math
import signal
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.clock import Clock
from watchdesk_collector.history import HistoryError, Snapshot, gaps
from watchdesk_collector.sql.config import SqlConfig
from watchdesk_collector.sql.guard import MAX_QUERY_BYTES, Guard, Permitted, Refusal
from watchdesk_collector.sql.handover import Handover, hand_over
from watchdesk_collector.sql.job import Job, Summary, load_summary
from watchdesk_collector.sql.model import Fault, Format, SqlError, SqlResult, Truncation
from watchdesk_collector.sql.wording import error_at, explain

log = logging.getLogger(__name__)

_ALWAYS_THERE = ("hosts", "catalog")
_MAX_SUMMARY_BYTES = 64 << 10
_READ_BYTES = 1 << 20
_STDERR_BYTES = 2000
_WORKER = (sys.executable, "-I", "-m", "watchdesk_collector.sql.worker")
_ENVIRONMENT = {"LANG": "C.UTF-8"}  # nothing of ours: no token, no home
_BASE_ADDRESS_SPACE = 1 << 30  # Python, DuckDB and pyarrow map about half of this


class Snapshots(Protocol):
    """The part of History that queries see."""

    def snapshot(
        self, tables: Sequence[str], since: datetime | None = None, until: datetime | None = None, *, columns: Collection[str] | None = None
    ) -> Snapshot: ...

    def catalogue(self) -> Sequence[Measurement]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    timeout_s: float
    max_rows: int


class SqlRunner:
    """Queries against one history, at most `sql.concurrency` at once; the others wait, at most `sql.max_wait`."""

    def __init__(self, *, history: Snapshots, folder: Path, config: SqlConfig, clock: Clock) -> None:
        """`folder` holds the Parquet files, and nothing else that a query may not see."""
        self._history = history
        self._folder = folder
        self._config = config
        self._clock = clock
        self._guard = Guard()
        self._turns = asyncio.Semaphore(config.concurrency)
        self._told_of_landlock = False

    async def run(
        self, query: str, *, format: Format = Format.JSON, timeout_s: float | None = None, max_rows: int | None = None, asked_by: str = "?"
    ) -> SqlResult | SqlError:
        """Answer a query, or say why not. `timeout_s` and `max_rows` default to the configuration's; `asked_by` is logged, the query is not."""
        started_s = self._clock.monotonic_s()
        outcome = await self._checked(query, format, timeout_s, max_rows)
        _log(outcome, asked_by, self._clock.monotonic_s() - started_s)
        return outcome

    async def _checked(self, query: str, format: Format, timeout_s: float | None, max_rows: int | None) -> SqlResult | SqlError:
        limits = self._limits(timeout_s, max_rows)
        if isinstance(limits, SqlError):
            return limits
        if len(query.encode(errors="surrogatepass")) > MAX_QUERY_BYTES:
            return SqlError(fault=Fault.SIZE, message=f"the query is longer than {MAX_QUERY_BYTES >> 10} KiB; shorten it")
        measurements = self._history.catalogue()
        permit = await asyncio.to_thread(self._guard.check, query, [*_ALWAYS_THERE, *gaps.NAMES, *(measurement.name for measurement in measurements)])
        if isinstance(permit, Refusal):
            return error_at(Fault.QUERY, permit.message, query, permit.position)
        return await self._in_turn(query, format, limits, permit)

    def _limits(self, timeout_s: float | None, max_rows: int | None) -> _Limits | SqlError:
        limits = _Limits(
            timeout_s=self._config.timeout if timeout_s is None else timeout_s, max_rows=self._config.rows if max_rows is None else max_rows
        )
        if not 0 < limits.timeout_s <= max(self._config.max_timeout, self._config.timeout):
            return SqlError(fault=Fault.REQUEST, message=f"timeout_s must be more than 0 and at most {self._config.max_timeout:g} (sql.max_timeout)")
        if not 0 < limits.max_rows <= max(self._config.max_rows, self._config.rows):
            return SqlError(fault=Fault.REQUEST, message=f"max_rows must be more than 0 and at most {self._config.max_rows} (sql.max_rows)")
        return limits

    async def _in_turn(self, query: str, format: Format, limits: _Limits, permit: Permitted) -> SqlResult | SqlError:
        try:
            async with asyncio.timeout(self._config.max_wait):
                await self._turns.acquire()
        except TimeoutError:
            waited = f"{self._config.concurrency} queries are running already, and none ended within {self._config.max_wait:g} s"
            return SqlError(fault=Fault.BUSY, message=f"{waited}; try again, or raise sql.concurrency")
        try:
            async with asyncio.timeout(limits.timeout_s):
                return await self._answer(query, format, limits, permit)
        except TimeoutError:
            remedy = "narrow it, for example by ts, or give it a longer timeout_s"
            return SqlError(fault=Fault.DEADLINE, message=f"the query was stopped after {limits.timeout_s:g} s; {remedy}")
        finally:
            self._turns.release()

    async def _answer(self, query: str, format: Format, limits: _Limits, permit: Permitted) -> SqlResult | SqlError:
        try:
            handover = await self._handed_over(permit)
        except HistoryError as error:
            return SqlError(fault=Fault.HISTORY, message=f"history cannot be read: {error}")
        try:
            process = await asyncio.create_subprocess_exec(
                *_WORKER,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._folder,
                env=_ENVIRONMENT,
                pass_fds=handover.descriptors,
                limit=_MAX_SUMMARY_BYTES,
            )
        finally:
            handover.close()
        try:
            return await self._converse(process, self._job(query, format, limits, handover), self._columns(permit.tables))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _columns(self, tables: Collection[str]) -> frozenset[str]:
        """The columns that there are in the measurements among the tables, for errors to suggest."""
        measurements = [measurement for measurement in self._history.catalogue() if measurement.name in tables]
        columns = {column.name for measurement in measurements for column in measurement.columns}
        columns |= {column for table, column, *_ in gaps.COLUMNS if table in tables}
        return frozenset(columns | ({"ts", "host", "host_id"} if columns else set()))

    async def _handed_over(self, permit: Permitted) -> Handover:
        """As `_hand_over`, in a thread; what the thread made is closed even when nobody waits for it any more."""
        work = asyncio.ensure_future(asyncio.to_thread(self._hand_over, permit))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_close)
            raise

    def _hand_over(self, permit: Permitted) -> Handover:
        self._folder.mkdir(parents=True, exist_ok=True)
        tables = sorted(permit.tables.difference(_ALWAYS_THERE))
        snapshot = self._history.snapshot(tables, permit.ts.since, permit.ts.until, columns=permit.columns)
        return hand_over(snapshot, self._folder, by_name_only=self._history.catalogue() if permit.lists_tables else ())

    def _job(self, query: str, format: Format, limits: _Limits, handover: Handover) -> Job:
        return Job(
            query=query,
            format=format.value,
            views=list(handover.views),
            files=list(handover.files),
            max_rows=limits.max_rows,
            max_bytes=self._config.max_bytes,
            memory_limit=self._config.memory_limit,
            address_space=_BASE_ADDRESS_SPACE + 2 * self._config.memory_limit,
            cpu_s=math.ceil(limits.timeout_s) + 1,
        )

    async def _converse(self, process: asyncio.subprocess.Process, job: Job, columns: frozenset[str]) -> SqlResult | SqlError:
        assert process.stdin is not None  # noqa: S101  for mypy; they are pipes
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a worker that died is told of below
            process.stdin.write(job.dump())
            await process.stdin.drain()
            process.stdin.close()
        try:
            summary = load_summary(await process.stdout.readline())
        except (ValueError, TypeError, KeyError):
            return await self._died(process, job)
        self._tell_of_landlock(summary)
        if summary.problem is not None:
            return explain(summary.problem, job.query, columns)
        body = await _read(process.stdout, job.max_bytes + _MAX_SUMMARY_BYTES)
        if await process.wait() != 0:
            return await self._died(process, job)
        truncated = None if summary.truncated is None else Truncation(summary.truncated)
        return SqlResult(format=Format(job.format), body=body, rows=summary.rows, truncated=truncated)

    async def _died(self, process: asyncio.subprocess.Process, job: Job) -> SqlError:
        """A worker that ends without an answer ran into a wall, nearly always the one around its memory."""
        assert process.stderr is not None  # noqa: S101
        said = (await process.stderr.read(_STDERR_BYTES)).decode(errors="replace").strip()
        code = await process.wait()
        log.warning("a query's process ended with code %d: %s", code, said.rsplit("\n", 1)[-1] or "it said nothing")
        if code == -signal.SIGXCPU:
            return SqlError(
                fault=Fault.DEADLINE, message=f"the query was stopped after {job.cpu_s} s of processor time; narrow it, for example by ts"
            )
        return SqlError(fault=Fault.MEMORY, message="the query's process died, most likely for want of memory; narrow it, or raise sql.memory_limit")

    def _tell_of_landlock(self, summary: Summary) -> None:
        if not summary.landlock and not self._told_of_landlock:
            self._told_of_landlock = True
            log.warning("this kernel has no Landlock: queries are confined by DuckDB's locks, resource limits and file modes alone")


def _close(work: asyncio.Future[Handover]) -> None:
    if not work.cancelled() and work.exception() is None:
        work.result().close()


async def _read(stream: asyncio.StreamReader, max_bytes: int) -> bytes:
    """Up to the limit; a worker that sends more does not keep to its job, and is cut off."""
    parts = []
    size = 0
    while size <= max_bytes and (part := await stream.read(_READ_BYTES)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _log(outcome: SqlResult | SqlError, asked_by: str, duration_s: float) -> None:
    if isinstance(outcome, SqlResult):
        log.info("sql for %s: %d rows, %d bytes in %.3f s", asked_by, outcome.rows, len(outcome.body), duration_s)
    else:
        log.info("sql for %s: no answer (%s) after %.3f s", asked_by, outcome.fault, duration_s)
