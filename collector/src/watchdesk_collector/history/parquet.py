"""Parquet files: written under a temporary name, synced, renamed, their folder synced; only then may a manifest row name them.

Layout: `parquet/<measurement>/<YYYY-MM-DD>/<generation>.parquet` below the history folder, sorted by host and time, zstd.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb

from watchdesk_collector.history.errors import ExportFailed, HistoryFailed
from watchdesk_collector.history.instance import FATAL, first_line
from watchdesk_collector.history.steps import Step, Steps
from watchdesk_collector.history.syncing import sync_folder

FOLDER = "parquet"
TEMPORARY = ".tmp"
# v1 leaves numbers as they are: of rows sorted by host and time, zstd finds more in those than in what the encodings of v2 make of them (ADR 10)
COPY = """
COPY (SELECT * FROM ({rows}) ORDER BY host_id, ts) TO {target}
(FORMAT parquet, PARQUET_VERSION v1, COMPRESSION zstd, WRITE_BLOOM_FILTER false)
"""


def write(cursor: duckdb.DuckDBPyConnection, rows: str, target: Path, steps: Steps) -> tuple[int, int]:
    """Write what a SELECT gives; returns rows and bytes. **Errors**: ExportFailed, and no file is left behind; HistoryFailed."""
    temporary = target.with_name(target.name + TEMPORARY)
    try:
        _make_folder(target.parent)
        ((count,),) = cursor.execute(COPY.format(rows=rows, target=_quoted(temporary))).fetchall()
        steps(Step.FILE_WRITTEN)
        size = _sync(temporary)
        temporary.rename(target)
        steps(Step.FILE_RENAMED)
        sync_folder(target.parent)
    except FATAL as error:
        raise HistoryFailed(f"the history database stopped: {first_line(error)}") from error
    except (OSError, duckdb.Error) as error:
        temporary.unlink(missing_ok=True)
        raise ExportFailed(f"{target.name} of {target.parent} could not be written: {first_line(error)}") from error
    steps(Step.FILE_SYNCED)
    return count, size


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _make_folder(folder: Path) -> None:
    """Create it and make its name, and its parents', survive a power cut."""
    if folder.exists():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def _sync(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)


def remove_orphans(root: Path, known: Collection[Path]) -> int:
    """Unlink every file below the history folder's `parquet` that is not among the known (absolute) ones, and folders left empty."""
    orphans = [path for path in _files(root / FOLDER) if path not in known]
    for path in orphans:
        path.unlink()
    for folder in sorted((path for path in (root / FOLDER).rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return len(orphans)


def has_files(root: Path) -> bool:
    """Whether there is any Parquet file."""
    return next(_files(root / FOLDER), None) is not None


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
