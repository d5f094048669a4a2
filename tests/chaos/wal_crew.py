"""Processes that check damages, one after the other each: one that dies in a start is a failed start, and another takes its place."""

import multiprocessing as mp
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

from wal_check import Checker, Damage, Result

Task = tuple[str, Damage]
_spawn = mp.get_context("spawn")


def run_all(scratch: Path, seed: int, tasks: Sequence[Task]) -> Iterator[tuple[str, Damage, Result]]:
    """Results in the order in which they come, from as many processes as there are processors."""
    waiting = deque(tasks)
    workers = [_Worker.start(scratch / f"worker-{number}", scratch / "recorded", seed) for number in range(min(os.cpu_count() or 1, len(tasks)))]
    try:
        for worker in workers:
            worker.give(waiting)
        while busy := [worker for worker in workers if worker.task is not None]:
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                (name, damage), result = worker.take()
                yield name, damage, result
                if result.failure.startswith(DIED):
                    workers.remove(worker)
                    workers.append(worker := _Worker.start(worker.scratch, scratch / "recorded", seed))
                worker.give(waiting)
    finally:
        for worker in workers:
            worker.end()


DIED = "the process died"


@dataclass
class _Worker:
    scratch: Path
    process: BaseProcess
    connection: "Connection[Damage | None, Result]"
    task: Task | None = None

    @classmethod
    def start(cls, scratch: Path, recorded: Path, seed: int) -> "_Worker":
        shutil.rmtree(scratch, ignore_errors=True)
        ours, theirs = _spawn.Pipe()
        process = _spawn.Process(target=_work, args=(scratch, recorded, seed, theirs), daemon=True)
        process.start()
        theirs.close()
        return cls(scratch, process, cast("Connection[Damage | None, Result]", ours))

    def give(self, waiting: deque[Task]) -> None:
        self.task = waiting.popleft() if waiting else None
        if self.task is not None:
            self.connection.send(self.task[1])

    def take(self) -> tuple[Task, Result]:
        assert self.task is not None
        try:
            return self.task, self.connection.recv()
        except EOFError:
            self.process.join()
            return self.task, Result(failure=f"{DIED} with exit code {self.process.exitcode}")

    def end(self) -> None:
        self.process.terminate()
        self.process.join()


def _work(scratch: Path, recorded: Path, seed: int, connection: "Connection[Result, Damage | None]") -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what the product says of each damage
    checker = Checker(recorded, scratch, seed)
    while (damage := connection.recv()) is not None:
        connection.send(checker.check(damage))
