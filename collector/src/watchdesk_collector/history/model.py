"""What history hands out: recoveries, changes of files, removals, sizes, snapshots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends included; None is without end."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreplayed:
    """The end of a write-ahead log, or all of it, that could not be replayed; agents send again what of it was not checkpointed."""

    log: Path
    bytes: int
    kept_as: Path | None  # None when the disk was too full to keep it
    because: str
    is_torn: bool  # it ends within a transaction, as a crash leaves it


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What opening found and did."""

    unreplayed: Sequence[Unreplayed]
    parquet_set_aside: Path | None  # Parquet files found without the database that knew them
    orphans_removed: int  # Parquet files that no manifest row names: left by a crash, their rows are in the database or in other files
    hot_rows: int  # rows found in generations not yet sealed
    conflicts: Sequence[str]  # why a built-in measurement does not fit the table that is there; its columns stay as they were


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFile:
    """A row of the manifest: one Parquet file of one measurement and (but for late rows) one UTC day."""

    path: Path  # relative to the history folder
    measurement: str
    day: date
    generation: int  # unique among files of a day, and only growing
    level: int  # 0 sealed, 1 merged within the day, 2 merged once the day was over
    columns: int  # how many columns the measurement had; columns are only ever added, so this names its schema
    rows: int
    bytes: int
    first_ts: datetime
    last_ts: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Files that take the place of hot generations or of other files, written and synced, waiting for the one transaction that makes them true."""

    added: Sequence[ParquetFile]
    removed: Sequence[ParquetFile]
    generations: Sequence[int]  # to be dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A file that retention took out, and which setting asked for it ("max_age" or "max_bytes")."""

    file: ParquetFile
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is of one measurement."""

    measurement: str
    hot_rows: int
    sealed_rows: int
    sealed_bytes: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSnapshot:
    """One measurement at one moment: `hot` holds the rows not yet in files, which stay on disk for at least five minutes.

    **Shapes**: ts, host_id and the measurement's columns; older files may lack newer columns.
    """

    hot: pa.Table
    files: Sequence[Path]  # absolute
    relation: str  # SELECT with ts, host, host_id and columns over `hot_name(name)`, the files and `hosts`: what a view of the measurement is made of


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a process of its own needs to answer a query as `History.query` would.

    Register each table's `hot` under `hot_name(name)`, `hosts` as "hosts", `catalog` as "catalog", and `relations` under their names; then
    `CREATE VIEW name AS <relation>`, and the same with `derived`, which are made of all these.
    """

    tables: Mapping[str, TableSnapshot]
    hosts: pa.Table
    catalog: pa.Table
    relations: Mapping[str, pa.Table] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)


def hot_name(measurement: str) -> str:
    """Under which name a snapshot's relation expects the hot rows."""
    return f"{measurement}__hot"
