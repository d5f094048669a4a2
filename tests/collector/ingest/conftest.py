import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
import trustme
from watchdesk_collector.clock import SystemClock
from watchdesk_collector.history import History, HistoryConfig
from watchdesk_collector.history.steps import Steps, pass_by
from watchdesk_collector.ingest import Committer, IngestConfig, IngestService, RefusalLog, Roster, Upkeep, create_server
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Hole
from watchdesk_collector.ops.attendance import AttendanceBook
from watchdesk_collector.ops.database import open_ops
from watchdesk_collector.ops.hosts import HostDirectory
from watchdesk_proto.catalogue import Measurement, gauge, label

TOKEN = "let-me-in"
TOY = Measurement(name="toy", help="A toy.", columns=(label("part", "Which."), gauge("level_ratio", "How full.", unit="ratio")))


@dataclass(frozen=True, kw_only=True)
class Collector:
    """The ingest side of a collector, real throughout."""

    address: str
    history: History
    hosts: HostDirectory
    upkeep: Upkeep
    metrics: Metrics
    config: IngestConfig
    ca: bytes

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return self.history.query(sql, tables=("toy", "batch")).to_pylist()


class Start(Protocol):
    """`steps` are history's; settings are those of IngestConfig that shall differ."""

    def __call__(self, *, steps: Steps = pass_by, **settings: Any) -> AbstractAsyncContextManager[Collector]: ...


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a collector on the same state each time it is called."""
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", "localhost")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    defaults = IngestConfig(listen="127.0.0.1:0", tls_cert=tmp_path / "tls.crt", tls_key=tmp_path / "tls.key", commit_interval=0.02)

    @asynccontextmanager
    async def started(*, steps: Steps = pass_by, **settings: Any) -> AsyncIterator[Collector]:
        config = replace(defaults, **settings)
        metrics, clock, roster = Metrics(), SystemClock(), Roster()
        ops = open_ops(tmp_path / "ops.db")
        hosts, attendance = HostDirectory(ops, clock), AttendanceBook(ops, clock)
        history = History(
            path=tmp_path / "history", config=HistoryConfig(), catalogue=(TOY,), hosts=hosts.everyone, clock=clock, metrics=metrics, steps=steps
        )
        with ThreadPoolExecutor(1) as writer:

            def on_writer(function: Callable[..., Any], *args: object) -> Awaitable[Any]:
                return asyncio.get_running_loop().run_in_executor(writer, function, *args)

            def on_durable(entries: Sequence[Arrival | Hole]) -> None:
                hosts.seen([entry.host_id for entry in entries], clock.now())

            await on_writer(history.open)
            committer = Committer(
                history=history, on_writer=on_writer, on_durable=on_durable, clock=clock, metrics=metrics,
                interval_s=config.commit_interval, max_rows=config.commit_rows, max_queued_bytes=config.max_queued_bytes,
            )  # fmt: skip
            service = IngestService(
                config=config, token=TOKEN, history=history, on_writer=on_writer, committer=committer, roster=roster, hosts=hosts,
                attendance=attendance,
                clock=clock, metrics=metrics, refusals=RefusalLog(clock),
            )  # fmt: skip
            server, port = create_server(config, service)
            upkeep = Upkeep(history=history, on_writer=on_writer, roster=roster, hosts=hosts, interval_s=3600)
            await server.start()
            committing = asyncio.create_task(committer.run())
            try:
                yield Collector(
                    address=f"127.0.0.1:{port}", history=history, hosts=hosts, upkeep=upkeep, metrics=metrics,
                    config=replace(config, listen=f"127.0.0.1:{port}"), ca=ca.cert_pem.bytes(),
                )  # fmt: skip
            finally:
                await server.stop(grace=1)
                committing.cancel()
                await on_writer(history.close)

    return started


@pytest.fixture
async def collector(start: Start) -> AsyncIterator[Collector]:
    async with start() as running:
        yield running
