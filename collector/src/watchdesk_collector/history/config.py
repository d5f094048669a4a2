"""What an operator may set about history: how long, how much, and how often hot rows move."""

from dataclasses import dataclass

from watchdesk_proto.settings import Form, setting


def _positive(value: float) -> str | None:
    return None if value > 0 else "must be more than zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryConfig:
    """The [history] table. Durations are seconds and sizes bytes once read."""

    max_age: float = setting("90d", form=Form.DURATION, check=_positive, help="Samples older than this are removed, a file at a time.")
    max_bytes: int = setting(
        "20GiB", form=Form.SIZE, check=_positive, help="History takes no more disk than this: the oldest files are removed first."
    )
    free_space_floor: int = setting(
        "512MiB",
        form=Form.SIZE,
        help="Ingest stops while the disk has less free space than this, and goes on by itself; agents keep their samples meanwhile.",
    )
    generation_age: float = setting("10m", form=Form.DURATION, check=_positive, help="Hot rows become Parquet files after this long.")
    generation_rows: int = setting(5_000_000, check=_positive, help="Hot rows become Parquet files earlier when there are this many.")
    checkpoint_interval: float = setting(
        "60s", form=Form.DURATION, check=_positive, help="How often the write-ahead log is folded into the database."
    )
    memory_limit: int = setting("1GiB", form=Form.SIZE, check=_positive, help="Memory that DuckDB aims to stay within; it may exceed it for a while.")
    threads: int = setting(
        1,
        check=_positive,
        help="Threads that one query or write of DuckDB spreads over; each further one costs a commit about half as much CPU again.",
    )
    max_measurements: int = setting(256, check=_positive, help="More measurements than this are refused: each is a table.")
    max_columns: int = setting(256, check=_positive, help="More columns in one measurement than this are refused.")
