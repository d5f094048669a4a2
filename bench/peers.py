"""The peers that Watchdesk is measured beside, as Debian packages them: Prometheus and VictoriaMetrics, on loopback, each with a data folder of its
own.

Both take remote write with the durability that they have by default: Prometheus writes a request to its write-ahead log before it answers, but
syncs that file only when it begins the next segment; VictoriaMetrics answers from memory and writes to disk about once a second. Nothing here is
part of the product.
"""

import json
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from load import free_port
from watchdesk_collector.cli.demo.programs import Program
from watchdesk_collector.cli.demo.waiting import Waiter

COUNT = "sum(count_over_time({name}[{span_s}s]))"
TIMEOUT_S = 120
PARTS = re.compile(r'^vm_parts\{type="storage/\w+"\} (\d+)$', re.MULTILINE)
MERGING = re.compile(r'^vm_active_merges\{type="storage/\w+"\} (\d+)$', re.MULTILINE)


class Peer:
    """A server that takes remote write. `name` is its command's and its package's; `data` is its folder."""

    name: str
    health_path: str
    write_path = "/api/v1/write"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.program = Program(name=self.name, command=self.command(), log=folder / f"{self.name}.log")

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def command(self) -> list[str | Path]:
        raise NotImplementedError

    def start(self) -> None:
        """It answers when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.program.start()
        Waiter(programs=(self.program,)).until(self.name, self._is_up, timeout_s=60)

    def _is_up(self) -> bool:
        with suppress(OSError):
            self.ask(self.health_path)
            return True
        return False

    def flush(self) -> None:
        """Make everything written so far visible to queries."""

    def count(self, *, first_ms: int, last_ms: int) -> int:
        """Samples stored in this span, by a query per metric."""
        self.flush()
        names = json.loads(self.ask("/api/v1/label/__name__/values"))["data"]
        return sum(self._count_of(name, span_s=(last_ms - first_ms) // 1000 + 1, at_ms=last_ms) for name in names)

    def _count_of(self, name: str, *, span_s: int, at_ms: int) -> int:
        query = COUNT.format(name=name, span_s=span_s)
        answer = json.loads(self.ask("/api/v1/query", query=query, time=f"{at_ms / 1000:.3f}", nocache="1"))
        return sum(int(result["value"][1]) for result in answer["data"]["result"])

    def ask(self, path: str, *, method: str = "GET", **parameters: str) -> bytes:
        """The body of an answer. **Errors**: OSError."""
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read()
        return content


class Prometheus(Peer):
    """Scrapes nothing."""

    name = "prometheus"
    health_path = "/-/ready"

    def command(self) -> list[str | Path]:
        return [
            "prometheus",
            f"--config.file={self._config()}",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-remote-write-receiver",
            "--web.enable-admin-api",
            "--query.max-samples=1000000000",
        ]

    def _config(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yml"
        config.write_text("global: {}\n")
        return config

    def snapshot(self) -> Path:
        """Write everything, what is in memory too, as blocks; the folder that they are in."""
        answer: dict[str, Any] = json.loads(self.ask("/api/v1/admin/tsdb/snapshot", method="POST"))
        return self.data / "snapshots" / str(answer["data"]["name"])


class VictoriaMetrics(Peer):
    """The single-node server."""

    name = "victoria-metrics"
    health_path = "/health"

    def command(self) -> list[str | Path]:
        return [
            "victoria-metrics",
            f"-storageDataPath={self.data}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-search.maxQueryDuration=100s",
            "-search.maxSamplesPerQuery=1000000000",
            "-loggerLevel=ERROR",
        ]

    def flush(self) -> None:
        self.ask("/internal/force_flush")

    def merge(self) -> None:
        """Merge its parts of samples into one, as it does when a month is over. **Errors**: DemoError when that takes too long."""
        self.flush()
        self.ask("/internal/force_merge")
        Waiter(programs=(self.program,)).until("The final merge", self._is_merged, timeout_s=TIMEOUT_S)

    def _is_merged(self) -> bool:
        metrics = self.ask("/metrics").decode()
        parts = sum(int(number) for number in PARTS.findall(metrics))
        merging = sum(int(number) for number in MERGING.findall(metrics))
        if parts > 1 and not merging:
            self.ask("/internal/force_merge")
        return parts == 1 and not merging


PEERS: tuple[type[Peer], ...] = (Prometheus, VictoriaMetrics)


def require_installed() -> None:
    """**Errors**: SystemExit that says what to install."""
    if missing := [peer.name for peer in PEERS if not shutil.which(peer.name)]:
        raise SystemExit(f"not installed: {', '.join(missing)}; apt-get install {' '.join(missing)}")


@contextmanager
def running(peer: Peer) -> Iterator[Peer]:
    """Started, and stopped by its pid whatever happens."""
    peer.start()
    try:
        yield peer
    finally:
        peer.program.stop()
