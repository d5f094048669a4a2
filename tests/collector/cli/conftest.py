import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from collector.sql.shelf import HOSTS, Shelf
from watchdesk_collector import __version__
from watchdesk_collector.cli.main import main
from watchdesk_collector.clock import SystemClock
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.ops.database import open_ops
from watchdesk_collector.ops.hosts import HostDirectory, Introduction
from watchdesk_collector.sql.config import SqlConfig
from watchdesk_collector.sql.runner import SqlRunner
from watchdesk_collector.web.config import WebConfig
from watchdesk_collector.web.deps import WebDeps
from watchdesk_collector.web.server import WebServer

TOKEN = "let-me-in"
RULES = ("disk-full", "host-is-silent")


@dataclass(frozen=True, kw_only=True)
class Served:
    """A collector's web side over the small history, and what it answers."""

    url: str
    token_file: Path
    deps: WebDeps


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str


Watchdesk = Callable[..., Awaitable[Ended]]


class Receivers:
    """Stands for the notifiers: what each of them would say."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str | None] = {"email.ops": None}

    async def __call__(self, receiver: str | None) -> Mapping[str, str | None]:
        return self.outcomes if receiver is None else {receiver: self.outcomes[receiver]}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    shelf = Shelf(tmp_path / "history")
    ops = open_ops(tmp_path / "ops.db")
    deps = WebDeps(
        config=WebConfig(listen="127.0.0.1:0"),
        clock=SystemClock(),
        history=shelf.history,
        ailment=lambda: None,
        hosts=_hosts(HostDirectory(ops, SystemClock())),
        rules=RULES,
        ops=ops,
        metrics=Metrics(),
        sql=SqlRunner(history=shelf, folder=shelf.folder, config=SqlConfig(timeout=20), clock=SystemClock()),
        api_token=TOKEN,
        started_at=SystemClock().now(),
        notify_test=Receivers(),
        version=__version__,
    )
    server = WebServer(deps=deps)
    await server.start()
    token_file = tmp_path / "api.token"
    token_file.write_text(TOKEN + "\n")
    yield Served(url=f"http://127.0.0.1:{server.port}", token_file=token_file, deps=deps)
    await server.stop()
    ops.dispose()
    shelf.close()


@pytest.fixture
def watchdesk(served: Served) -> Watchdesk:
    """The command, run in a thread beside the server and told where that is."""

    async def call(*arguments: str, at: bool = True) -> Ended:
        where = ["--url", served.url, "--token-file", str(served.token_file)] if at else []
        return await asyncio.to_thread(run, *arguments, *where)

    return call


def run(*arguments: str) -> Ended:
    """The command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return Ended(code=code, out=out.getvalue(), err=err.getvalue())


def _hosts(directory: HostDirectory) -> HostDirectory:
    for name in HOSTS.values():
        host = directory.introduce(Introduction(agent_id=f"agent-{name}", name=name, boot_id="boot", agent_version="0.1.0", clock_offset_s=0.0))
        directory.disconnected(host.host_id)
    return directory
