"""Waiting for things that other processes do, with a deadline, an eye on those processes, and an ear for Ctrl-C."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TypeVar

from watchdesk_collector.cli.demo.programs import Program

T = TypeVar("T")
_POLL_S = 0.3


class DemoError(Exception):
    """The demo cannot go on; the message says why in one sentence, followed by what the program in question printed last."""


class Interrupted(Exception):
    """Somebody asked for the end: Ctrl-C or SIGTERM."""


class Waiter:
    """Waits on behalf of one run. `programs` must keep running while it waits; it looks every `poll_s` for what it waits for."""

    def __init__(self, *, programs: Sequence[Program], poll_s: float = _POLL_S) -> None:
        self._programs = programs
        self._poll_s = poll_s
        self._interruptions: SimpleQueue[None] = SimpleQueue()  # an Event would wait for itself when the signal comes while it is looked at

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn Ctrl-C and SIGTERM into `Interrupted` at the next wait, instead of an exception anywhere."""
        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def until(self, what: str, found: Callable[[], T | None], *, timeout_s: float) -> T:
        """What `found` returns once it is neither None nor False. **Errors**: DemoError when it does not come or a program ends; Interrupted."""
        deadline = time.monotonic() + timeout_s
        while True:
            value = found()
            if value is not None and value is not False:
                return value
            self.pause(self._poll_s)
            if time.monotonic() > deadline:
                raise DemoError(f"{what} did not come within {timeout_s:.0f} s." + "".join(_words_of(program) for program in self._programs))

    def pause(self, seconds: float) -> None:
        """Wait that long. **Errors**: DemoError when a program ends; Interrupted."""
        with suppress(Empty):
            self._interruptions.get(timeout=max(0.0, seconds))
            self._interruptions.put(None)  # for every wait that follows
            raise Interrupted
        for program in self._programs:
            if program.exit_code is not None:
                raise DemoError(f"{program.name} ended by itself with exit code {program.exit_code}.{_words_of(program)}")

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interruptions.put(None)


def _words_of(program: Program) -> str:
    words = program.last_words()
    return f"\n--- the end of {program.log}:\n{words}" if words else ""
