"""The programs of an arena, each in its place: they may be ended, frozen and started again as often as a fault wants it."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from watchdesk_collector.cli.demo.api import CollectorApi
from watchdesk_collector.cli.demo.programs import Program
from watchdesk_collector.cli.demo.waiting import DemoError, Waiter
from watchdesk_collector.cli.selftest.relay import Relay

START_WITHIN_S = 60.0
STOP_WITHIN_S = 20.0


class Seat:
    """One program that comes and goes; `command` is a module with its arguments."""

    def __init__(self, *, name: str, command: Sequence[str | Path], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", *command]
        self.program = Program(name=name, command=self._command, log=log)

    def start(self, *options: str) -> None:
        """With further options for this once."""
        self.program = Program(name=self.name, command=[*self._command, *options], log=self.log)
        self.program.start()

    def stop(self) -> None:
        """In good order."""
        self.program.stop(timeout_s=STOP_WITHIN_S)

    def kill(self) -> None:
        """As a power cut would, also of one that is frozen."""
        self.program.kill()

    def freeze(self) -> None:
        """It stops where it is, and notices nothing, until `thaw`."""
        os.kill(self.program.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.program.pid, signal.SIGCONT)

    @property
    def is_running(self) -> bool:
        return self.program.is_running

    def require_running(self) -> None:
        """**Errors**: DemoError, when it has ended; with what it said last."""
        if not self.is_running:
            words = self.program.last_words()
            raise DemoError(f"{self.name} ended by itself with exit code {self.program.exit_code}.\n--- the end of {self.log}:\n{words}")


class AgentSeat(Seat):
    """One agent with all that belongs to it, in a folder of its own."""

    def __init__(self, *, host: str, folder: Path, relay: Relay) -> None:
        folder.mkdir(parents=True)
        self.host = host
        self.folder = folder
        self.relay = relay
        self.state_dir = folder / "state"
        self.config = folder / "agent.toml"
        self.ledger = folder / "ledger"
        self.clock = folder / "clock"
        self.application_log = folder / "application.log"
        self.application_log.touch()
        super().__init__(name=host, command=agent_command(config=self.config, ledger=self.ledger, clock=self.clock), log=folder / "agent.log")


def agent_command(*, config: Path, ledger: Path, clock: Path) -> Sequence[str | Path]:
    """A module and its arguments."""
    return ["watchdesk_agent.selftest", "--config", config, "--ledger", ledger, "--clock", clock]


class CollectorSeat(Seat):
    """The collector, on the same ports of 127.0.0.1 over all restarts, and how it is asked."""

    def __init__(self, *, folder: Path, grpc_port: int, web_port: int, waiter: Waiter) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.grpc_port = grpc_port
        self.web_port = web_port
        self.state_dir = folder / "state"
        self.config = folder / "collector.toml"
        self.agent_token_file = self.state_dir / "agent.token"
        self.api = CollectorApi(url=f"http://127.0.0.1:{web_port}", token_file=self.state_dir / "api.token")
        self._waiter = waiter
        module = "watchdesk_collector.cli.selftest.collector_process"
        super().__init__(name="the collector", command=[module, "--config", self.config], log=folder / "collector.log")

    @property
    def address(self) -> str:
        """Where agents reach it without a relay."""
        return f"127.0.0.1:{self.grpc_port}"

    def start(self, *options: str) -> None:
        """It answers when this returns; with options, such as where it shall kill itself, nobody waits. **Errors**: DemoError, Interrupted."""
        super().start(*options)
        if not options:
            self._waiter.until("The collector's answer", self._answers_or_ends, timeout_s=START_WITHIN_S)

    def answers(self) -> bool:
        return self.is_running and self.api.is_healthy()

    def _answers_or_ends(self) -> bool:
        self.require_running()
        return self.api.is_healthy()
