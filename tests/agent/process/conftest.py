"""The agent as a process of its own, as systemd runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from agent.uplink.small_collector import SmallCollector

STOPS_WITHIN_S = 10.0


class AgentProcess:
    """One agent with its configuration and state; may be started again after it ended."""

    def __init__(self, *, folder: Path, authority: trustme.CA, collector: SmallCollector) -> None:
        self.state_dir = folder / "state"
        self.config = folder / "agent.toml"
        self.log = folder / "log"
        self.environment = dict(os.environ)
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        (folder / "token").write_text("secret")
        self.config.write_text(f"""\
host = "web-1"
state_dir = "{self.state_dir}"
[collector]
address = "localhost:{collector.port}"
ca_file = "{folder / "ca.pem"}"
token_file = "{folder / "token"}"
[sampling]
interval = "100ms"
flush_interval = "200ms"
[sampling.intervals]
cpu = "100ms"
""")
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "watchdesk_agent", *arguments]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command("run", "--config", str(self.config)), stderr=log, env=self.environment)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOPS_WITHIN_S)

    def stop(self) -> int:
        """As systemd stops it; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOPS_WITHIN_S)

    def freeze(self, seconds: float) -> None:
        """It gets no processor for so long."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the program, until it ends."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False, env=self.environment)


@pytest.fixture
def agent(tmp_path: Path, authority: trustme.CA, collector: SmallCollector) -> Iterator[AgentProcess]:
    agent = AgentProcess(folder=tmp_path, authority=authority, collector=collector)
    yield agent
    agent.end()
