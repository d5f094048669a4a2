"""One collector and three agents as real processes on this machine, with TLS and tokens, each agent behind a relay of its own.

Short intervals, so that whatever the product does each ten minutes happens within seconds. Invariant: when the arena is left, its processes have
ended and its disks are unmounted, whatever happened.
"""

import random
import shutil
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from watchdesk_collector.cli.demo.certificates import TlsFiles, make_tls_files
from watchdesk_collector.cli.demo.waiting import Waiter
from watchdesk_collector.cli.errors import CliError
from watchdesk_collector.cli.selftest import configs, tmpfs
from watchdesk_collector.cli.selftest.ledgers import Key, Ledgers
from watchdesk_collector.cli.selftest.relay import Relay
from watchdesk_collector.cli.selftest.rogue import Rogue
from watchdesk_collector.cli.selftest.seats import AgentSeat, CollectorSeat, Seat
from watchdesk_collector.cli.selftest.writer import LineWriter

AGENTS = 3
AGENT_DISK_BYTES = 32 << 20
COLLECTOR_DISK_BYTES = 512 << 20
BACK_WITHIN_S = 60.0
POLL_S = 0.05
ROGUE = "rogue"
PORTS = range(10_240, 32_768)  # below those that the kernel gives to connections, so that none takes the collector's while it is away

T = TypeVar("T")


class Arena:
    """See the module. `ledgers` knows every ledger of the run."""

    def __init__(self, *, directory: Path, waiter: Waiter, seed: int, collector: CollectorSeat, tls: TlsFiles) -> None:
        self.directory = directory
        self.tls = tls
        self.collector = collector
        self.ledgers = Ledgers()
        self._waiter = waiter
        self.agents = [self._agent(f"host-{number}", seed) for number in range(1, AGENTS + 1)]
        self.rogue = Rogue(
            address=collector.address,
            ca_file=tls.authority,
            token_file=collector.agent_token_file,
            host=ROGUE,
            ledger=self.ledger_for(ROGUE, ROGUE),
            random=random.Random(f"{seed}: {ROGUE}"),  # noqa: S311  repeatable, not unpredictable
        )
        self.writer = LineWriter([agent.application_log for agent in self.agents])
        collector.config.write_text(configs.collector(collector, tls), encoding="utf-8")

    @property
    def seats(self) -> Sequence[Seat]:
        return (self.collector, *self.agents)

    @property
    def lines(self) -> int:
        """Log lines written so far, to all logs."""
        return self.writer.lines * len(self.agents)

    def start(self) -> None:
        """Everything runs and every agent was acked something when this returns. **Errors**: DemoError, Interrupted."""
        self.collector.start()
        for agent in self.agents:
            agent.start()
        self.writer.start()
        self.settle()

    def settle(self) -> None:
        """Wait until everything runs and every agent is acked something new. **Errors**: DemoError when a program has ended or does not come back."""
        self._waiter.until("The collector's answer", lambda: self._all_run() and self.collector.answers(), timeout_s=BACK_WITHIN_S)
        waiting = {agent: _size(agent.ledger) for agent in self.agents}
        self._waiter.until("An ack for each agent", lambda: self._all_run() and self._all_acked(waiting), timeout_s=BACK_WITHIN_S)

    def pause(self, seconds: float) -> None:
        """**Errors**: Interrupted."""
        self._waiter.pause(seconds)

    def until(self, what: str, found: Callable[[], T | None], *, timeout_s: float = 30.0) -> T:
        """What `found` returns once it is something. **Errors**: DemoError when it does not come; Interrupted."""
        return self._waiter.until(what, found, timeout_s=timeout_s)

    def ledger_for(self, host: str, name: str) -> Path:
        """A fresh ledger, for another sender that goes by this host's name."""
        path = self.directory / f"{name}.ledger"
        self.ledgers.add(path, host=host)
        return path

    def throw_away(self, agent: AgentSeat, batches: Collection[tuple[int, int]], *, why: str) -> None:
        """A fault destroys what may be the only copy of these (epoch, seq)."""
        self.ledgers.read()
        self.ledgers.throw_away([Key(agent.host, epoch, seq) for epoch, seq in batches], why=why)

    def _agent(self, host: str, seed: int) -> AgentSeat:
        relay = Relay(self.collector.grpc_port, random=random.Random(f"{seed}: relay of {host}"))  # noqa: S311  repeatable, not unpredictable
        agent = AgentSeat(host=host, folder=self.directory / host, relay=relay)
        agent.config.write_text(configs.agent(agent, self.collector, self.tls), encoding="utf-8")
        self.ledgers.add(agent.ledger, host=host)
        return agent

    def _all_acked(self, waiting: dict[AgentSeat, int]) -> bool:
        """Strike out the agents whose ledger tells of an ack after that many bytes; whether none is left."""
        for agent, size in tuple(waiting.items()):
            if _has_ack(agent.ledger, after_bytes=size):
                del waiting[agent]
        return not waiting

    def _all_run(self) -> bool:
        """**Errors**: DemoError, when one has ended that nobody ended."""
        for seat in self.seats:
            seat.require_running()
        return True


@contextmanager
def opened(directory: Path, *, waiter: Waiter, seed: int, keep: bool) -> Iterator[Arena]:
    """An arena in an empty folder, not yet started. What lies on its small disks stays in the folder when it is kept. **Errors**: CliError."""
    with ExitStack() as ending:
        collector = CollectorSeat(folder=directory / "collector", grpc_port=_free_port(), web_port=_free_port(), waiter=waiter)
        arena = Arena(directory=directory, waiter=waiter, seed=seed, collector=collector, tls=make_tls_files(directory / "tls"))
        for agent in arena.agents:
            ending.callback(agent.relay.close)
            ending.enter_context(_disk(agent.state_dir, AGENT_DISK_BYTES, keep=keep))
        ending.enter_context(_disk(collector.state_dir, COLLECTOR_DISK_BYTES, keep=keep))
        for seat in arena.seats:
            ending.callback(seat.kill)
        ending.callback(arena.rogue.hang_up)
        ending.callback(arena.writer.stop)
        yield arena


@contextmanager
def _disk(folder: Path, size_bytes: int, *, keep: bool) -> Iterator[None]:
    copy = folder.with_name("kept")
    with tmpfs.mounted(folder, size_bytes=size_bytes):
        try:
            yield
        finally:
            if keep and folder.is_mount():
                shutil.copytree(folder, copy)
    if copy.exists():
        folder.rmdir()
        copy.rename(folder)


def _has_ack(ledger: Path, *, after_bytes: int) -> bool:
    if not ledger.exists():
        return False
    with ledger.open("rb") as lines:
        lines.seek(after_bytes)
        return any(line.startswith(b"acked ") for line in lines)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _free_port() -> int:
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CliError("no port of 127.0.0.1 between 10240 and 32767 is free; end the programs that listen there")
