"""A collector and an agent as real processes on this machine, with TLS, for scenarios that stop, kill and question them.

Everything is in one folder and on free ports. A scenario is a script that can be run alone, prints a `Report`, and is run shortened by pytest.
"""

import argparse
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))  # for `load`, also when a scenario is run alone

from load import free_port
from watchdesk_collector.cli.demo.api import CollectorApi
from watchdesk_collector.cli.demo.certificates import make_tls_files
from watchdesk_collector.cli.demo.programs import Program, command_path
from watchdesk_collector.cli.demo.waiting import Waiter

T = TypeVar("T")
HOST = "site"


class Site:
    """One collector and one agent, configured but not started."""

    def __init__(self, directory: Path, *, flush_interval: str = "1s") -> None:
        self.directory = directory
        self.tls = make_tls_files(directory / "tls")
        self.grpc_address = f"127.0.0.1:{free_port()}"
        self.web_address = f"127.0.0.1:{free_port()}"
        self.collector_state = directory / "collector"
        self.agent_state = directory / "agent"
        self.application_log = directory / "application.log"
        self.api = CollectorApi(url=f"http://{self.web_address}", token_file=self.collector_state / "api.token")
        self.collector = self._program("collector")
        self.agent = self._program("agent")
        self.configure(collector=self._collector_config(), agent=self._agent_config(flush_interval))

    @property
    def agent_token(self) -> str:
        return (self.collector_state / "agent.token").read_text().strip()

    def configure(self, *, collector: str = "", agent: str = "") -> None:
        """Append to the configuration files."""
        for name, text in (("collector", collector), ("agent", agent)):
            with (self.directory / f"{name}.toml").open("a") as file:
                file.write(text)

    def start(self) -> None:
        """Both run, and the first sample is stored."""
        self.start_collector()
        self.start_agent()
        self.wait("the first sample", lambda: self.number("SELECT count(*) FROM cpu") > 0)

    def start_collector(self) -> None:
        """It answers when this returns."""
        self.collector.start()
        Waiter(programs=(self.collector,)).until("The collector", self.api.is_healthy, timeout_s=60)

    def start_agent(self) -> None:
        self.agent.start()

    def stop(self) -> None:
        """The agent first, so that it can send what it has."""
        self.agent.stop()
        self.collector.stop()

    def wait(self, what: str, found: Callable[[], T | None], *, timeout_s: float = 60.0) -> T:
        """What `found` returns once it is something; the collector may be away meanwhile."""
        return Waiter(programs=()).until(what, lambda: _unless_away(found), timeout_s=timeout_s)

    def rows(self, query: str) -> list[list[Any]]:
        return self.api.sql(query)

    def number(self, query: str) -> int:
        return self.api.number(query)

    def spool(self, query: str) -> list[tuple[Any, ...]]:
        """Ask a copy of the agent's spool, for a running agent locks it: as it was at one moment, committed transactions alone."""
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:
            _copy_database(self.agent_state / "spool.db", Path(folder) / "spool.db")
            with closing(sqlite3.connect(Path(folder) / "spool.db")) as spool:
                return spool.execute(query).fetchall()

    def ops(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the collector's ops.db, while it runs or not."""
        with closing(sqlite3.connect(f"file:{self.collector_state}/ops.db?mode=ro", uri=True, timeout=10)) as ops:
            return ops.execute(query).fetchall()

    def unsent_batches(self) -> int:
        return int(self.spool("SELECT count(*) FROM batch WHERE is_done = 0")[0][0])

    def _program(self, name: str) -> Program:
        command: list[str | Path] = [command_path(f"watchdesk-{name}"), "run", "--config", self.directory / f"{name}.toml"]
        return Program(name=f"watchdesk-{name}", command=command, log=self.directory / f"{name}.log")

    def _collector_config(self) -> str:
        return f"""\
state_dir = "{self.collector_state}"
[ingest]
listen = "{self.grpc_address}"
tls_cert = "{self.tls.certificate}"
tls_key = "{self.tls.key}"
[web]
listen = "{self.web_address}"
"""

    def _agent_config(self, flush_interval: str) -> str:
        return f"""\
host = "{HOST}"
state_dir = "{self.agent_state}"
[collector]
address = "{self.grpc_address}"
ca_file = "{self.tls.authority}"
token_file = "{self.collector_state}/agent.token"
[sampling]
flush_interval = "{flush_interval}"
[[log]]
name = "application"
files = ["{self.application_log}"]
start_at = "beginning"
max_lines_per_minute = 1000000
"""


class Acked:
    """Watches an agent's spool for batches that were acked, and remembers them after the spool has forgotten them."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: set[tuple[int, int]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="acked")

    def __enter__(self) -> "Acked":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def batches(self) -> set[tuple[int, int]]:
        """(epoch, seq) of every batch seen as acked."""
        return set(self._seen)

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self._look()
        self._look()

    def _look(self) -> None:
        try:
            self._seen.update(self._site.spool("SELECT epoch, seq FROM batch WHERE is_done = 1"))
        except (OSError, sqlite3.Error):
            return  # not made yet, or caught in the middle of being opened


class Report:
    """What a scenario found: figures, and claims that hold or not."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.broken: list[str] = []
        print(f"\n== {title}", flush=True)

    def figure(self, name: str, value: object) -> None:
        print(f"   {name}: {value}", flush=True)

    def claim(self, text: str, holds: bool) -> None:
        print(f"   {'holds ' if holds else 'BROKEN'}  {text}", flush=True)
        if not holds:
            self.broken.append(text)


@contextmanager
def site(*, flush_interval: str = "1s") -> Iterator[Site]:
    """A site in a folder of its own; its processes have ended when this ends."""
    with tempfile.TemporaryDirectory(prefix="watchdesk-") as folder:
        made = Site(Path(folder), flush_interval=flush_interval)
        try:
            yield made
        finally:
            made.agent.kill()
            made.collector.kill()


def finish(report: Report) -> None:
    """End a scenario that was run alone: exit code 1 when a claim is broken."""
    raise SystemExit(1 if report.broken else 0)


def parser(description: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def _copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite file and its log; once more when the log was folded in meanwhile."""
    while True:
        before = source.stat().st_mtime_ns
        shutil.copyfile(source, target)
        with suppress(FileNotFoundError):
            shutil.copyfile(f"{source}-wal", f"{target}-wal")
        if source.stat().st_mtime_ns == before:
            return


def _unless_away(found: Callable[[], T | None]) -> T | None:
    try:
        return found()
    except (OSError, sqlite3.OperationalError):
        return None
