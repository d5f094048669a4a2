"""The process that runs one query: reads a job from stdin, confines itself, answers on stdout, ends.

Started by `runner` as `python -m`, in the folder of the Parquet files. Its parent reads no more of what it says than the limits allow, and kills it
at the deadline. Invariant: the query's text is touched by DuckDB only after `confine` and after the configuration is locked.
"""

import json
import sys

import duckdb

from watchdesk_collector.sql.answers import WRITERS, Answer, prepare
from watchdesk_collector.sql.confinement import confine
from watchdesk_collector.sql.job import OUT_OF_MEMORY, Job, Problem, Summary, load_job

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "errors_as_json": True,
}
_MEMORY_WORDS = ("Out of Memory", "std::bad_alloc", "failed to allocate")  # of DuckDB, of C++, of DuckDB's bridge to Arrow
_OUT_OF_MEMORY = Problem(OUT_OF_MEMORY, "", "", "", "", "", -1)


def main() -> None:
    job = load_job(sys.stdin.buffer.read())
    prepare(job.format)
    connection = duckdb.connect(":memory:", config=_SETTINGS | {"memory_limit": f"{job.memory_limit}B"})
    landlock = confine(address_space_bytes=job.address_space, cpu_s=job.cpu_s)
    outcome = _run(connection, job)
    if isinstance(outcome, Problem):
        _send(Summary(problem=outcome, rows=0, truncated=None, landlock=landlock), b"")
    else:
        _send(Summary(problem=None, rows=outcome.rows, truncated=outcome.truncated, landlock=landlock), outcome.body)


def _run(connection: duckdb.DuckDBPyConnection, job: Job) -> Answer | Problem:
    try:
        _make_views(connection, job)
        relation = _parse(connection, job.query)
        return WRITERS[job.format](relation, job.max_rows, job.max_bytes)
    except MemoryError:
        return _OUT_OF_MEMORY
    except (duckdb.Error, OSError) as error:  # OSError: how pyarrow hands on DuckDB's errors in the middle of a stream
        return _problem(str(error))


def _make_views(connection: duckdb.DuckDBPyConnection, job: Job) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    for view in job.views:
        connection.execute(f'CREATE VIEW "{view.name}" AS {view.sql}')
    if job.files:
        connection.execute(f"SET allowed_paths = [{', '.join(_quoted(file) for file in job.files)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _parse(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """The query, bound and not yet run."""
    try:
        return connection.sql(query)
    except duckdb.Error:
        connection.execute(query)  # reports the same error with its position, which `sql` loses
        raise


def _problem(text: str) -> Problem:
    """DuckDB's error, which is JSON somewhere in the exception's text; plain text where it forgot."""
    if any(words in text for words in _MEMORY_WORDS):
        return _OUT_OF_MEMORY
    kind, _, rest = text.partition(": ")
    try:
        fields = json.loads(text[text.index("{") :])
    except ValueError:
        return Problem(kind, "", rest or text, "", "", "", -1)
    return Problem(
        kind=fields.get("exception_type", kind),
        subtype=fields.get("error_subtype", ""),
        message=fields.get("exception_message", rest),
        name=fields.get("name", ""),
        entry=fields.get("type", ""),
        candidates=fields.get("candidates", ""),
        position=int(fields.get("position", -1)),
    )


def _send(summary: Summary, body: bytes) -> None:
    sys.stdout.buffer.write(summary.dump())
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
