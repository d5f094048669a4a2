"""What the runner hands to a worker process, and what it says of its answer: one JSON line each way.

Both sides import this, so it imports little: a worker's start is part of every query's time, and `dataclasses` alone would add a tenth to it.
"""

import json
from typing import NamedTuple

OUT_OF_MEMORY = "Out of Memory"  # a Problem's kind, as DuckDB calls it


class View(NamedTuple):
    """A relation that the query may name. `sql` is ours and refers to files by paths relative to the worker's folder, or to inherited descriptors."""

    name: str
    sql: str


class Job(NamedTuple):
    """One query with everything it needs."""

    query: str
    format: str
    views: list[View]  # in the order in which they are made
    files: list[str]  # all that the views read
    max_rows: int
    max_bytes: int
    memory_limit: int
    address_space: int
    cpu_s: int

    def dump(self) -> bytes:
        return json.dumps(self._asdict()).encode()


class Problem(NamedTuple):
    """An error as DuckDB reports it. `position` counts bytes of the query from 0, -1 when unknown; `name` and `candidates` belong to "not found"."""

    kind: str
    subtype: str
    message: str
    name: str
    entry: str  # what kind of thing was not found: "Table", "Scalar Function", …
    candidates: str
    position: int


class Summary(NamedTuple):
    """The first line of an answer; the body follows it, unless there is a problem."""

    problem: Problem | None
    rows: int
    truncated: str | None
    landlock: bool

    def dump(self) -> bytes:
        return json.dumps(self._asdict() | {"problem": self.problem and self.problem._asdict()}).encode() + b"\n"


def load_job(document: bytes) -> Job:
    """The inverse of `Job.dump`."""
    raw = json.loads(document)
    return Job(**(raw | {"views": [View(*view) for view in raw["views"]]}))


def load_summary(line: bytes) -> Summary:
    """The inverse of `Summary.dump`. **Errors**: ValueError, TypeError or KeyError on anything else."""
    raw = json.loads(line)
    return Summary(**(raw | {"problem": Problem(**raw["problem"]) if raw["problem"] else None}))
