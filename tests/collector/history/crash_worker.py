"""A process that works on a history until it kills itself at a given step: `crash_worker.py FOLDER STEP OCCURRENCE`.

Prints one line per thing that a caller was told ("acked 3", "checkpointed 3"), and "step NAME" for each step it lives through.
"""

import os
import signal
import sys
from pathlib import Path

from collector.history.kit import CPU, EPOCH, HOST, START, batch, cpu, history_at, hole, words
from fakes import FakeClock
from watchdesk_collector.clock import to_us
from watchdesk_collector.history import History
from watchdesk_collector.history.steps import Step
from watchdesk_collector.model import Table
from watchdesk_proto.catalogue import Measurement, gauge

AT = to_us(START)
WIDER = Measurement(name="cpu", help="Processors.", columns=(*CPU.columns, gauge("idle_ratio", "Idle.", unit="ratio")))
DAY_US = 86_400_000_000
OLD_SEQ = 2  # its row is so old that retention may take it


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


class Killer:
    def __init__(self, step: str, occurrence: int) -> None:
        self._step = step
        self._left = occurrence

    def __call__(self, step: Step) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        say(f"step {step}")


def commit(history: History, seq: int, table: Table | None = None) -> None:
    history.commit([batch(seq, tables=None if table is None else [table])], [])
    say(f"acked {seq}")


def checkpoint(history: History) -> None:
    history.checkpoint()
    for first, last in history.checkpointed(HOST)[EPOCH]:
        say(f"checkpointed {first} {last}")


def work(history: History, clock: FakeClock) -> None:
    commit(history, 1)
    commit(history, OLD_SEQ, cpu([AT - 100 * DAY_US], [0.5], [OLD_SEQ]))
    history.seal()
    history.commit([batch(3)], [hole(4, 6)])
    say("acked 3")
    checkpoint(history)
    assert history.declare(WIDER) is None
    commit(history, 7, Table(schema_id=WIDER.schema_id, words=words([AT + 7], [0.5], [7], [0.5]), texts=()))
    history.rotate()
    commit(history, 8)
    history.seal()
    commit(history, 9)
    clock.advance(3601)
    history.compact()
    commit(history, 10)
    history.retain()
    clock.advance(301)
    checkpoint(history)
    commit(history, 11)
    history.seal()
    history.close()


def main() -> None:
    folder, step, occurrence = sys.argv[1:]
    clock = FakeClock(START)
    work(history_at(Path(folder), clock=clock, steps=Killer(step, int(occurrence))), clock)


if __name__ == "__main__":
    main()
