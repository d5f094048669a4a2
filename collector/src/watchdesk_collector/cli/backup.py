"""`watchdesk backup DIR`: a copy of everything that a stopped collector knows.

Holds the lock that DuckDB takes on its file, so that no collector runs or starts meanwhile. That lock is lost when this process closes the file,
through whichever handle, so the file is read through the one that holds it. Invariant: DIR appears once the copy is whole and on the disk.
"""

import argparse
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.errors import USAGE, CliError

_DATABASE = Path("history/hot.duckdb")
_OPS = Path("ops.db")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the copy goes; must not be there yet")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="the collector's state_dir; default: as its configuration says")
    parser.add_argument("--config", type=Path, default=finding.CONFIG, metavar="PATH", help="the collector's configuration; default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    state = arguments.state_dir or finding.state_dir(arguments.config)
    target: Path = arguments.directory
    if target.exists():
        raise CliError(f"{target} is there already; name a folder that is not", USAGE)
    try:
        _back_up(state, target)
    except OSError as error:
        raise CliError(f"{error.filename or target}: {error.strerror}; nothing was written to {target}") from error
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    print(f"{state} is copied to {target} ({size / 1e6:.1f} MB); to restore, copy it back while the collector is stopped")
    return 0


def _back_up(state: Path, target: Path) -> None:
    if not (state / _DATABASE).exists():
        raise CliError(f"{state} holds no history; name the collector's state_dir with --state-dir", USAGE)
    partial = target.with_name(f"{target.name}.partial")
    with (state / _DATABASE).open("r+b") as database:
        _lock(database, state)
        try:
            _copy(state, partial, database)
            os.sync()
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _lock(database: BinaryIO, state: Path) -> None:
    try:
        fcntl.lockf(database, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CliError(f"a collector runs in {state}; stop it first, for example with systemctl stop watchdesk-collector") from error


def _copy(state: Path, partial: Path, database: BinaryIO) -> None:
    partial.mkdir(mode=0o700, parents=True)
    shutil.copytree(state, partial, ignore=_copied_otherwise(state), dirs_exist_ok=True)
    partial.chmod(0o700)  # tokens lie below; copytree gave it the mode of the original
    with (partial / _DATABASE).open("wb") as copy:
        shutil.copyfileobj(database, copy)
    if (state / _OPS).exists():
        with closing(sqlite3.connect(state / _OPS)) as source, closing(sqlite3.connect(partial / _OPS)) as copy_of_ops:
            source.backup(copy_of_ops)


def _copied_otherwise(state: Path) -> Callable[[str, list[str]], set[str]]:
    """The database that holds the lock, and SQLite's files."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if (path := (Path(folder) / name).relative_to(state)) == _DATABASE or str(path).startswith(str(_OPS))}

    return ignored
