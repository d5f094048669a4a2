"""Our own programs as child processes: started, watched, and ended by their pid."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Program:
    """One child process; what it prints goes to its log. It is in a session of its own, so that Ctrl-C reaches it only through us."""

    def __init__(self, *, name: str, command: Sequence[str | Path], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code once it has ended; negative when a signal ended it."""
        return None if self._process is None else self._process.poll()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def stop(self, *, timeout_s: float = 20.0) -> int | None:
        """Ask it to end, make it end after `timeout_s`; its exit code, None when it was never started."""
        if self._process is None:
            return None
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int | None:
        """End it at once, as a power cut would (SIGKILL)."""
        if self._process is None:
            return None
        self._process.kill()
        return self._process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def command_path(name: str) -> Path:
    """The command as installed beside the Python that runs now, so that a checkout's demo runs the checkout's programs."""
    return Path(sys.executable).parent / name
