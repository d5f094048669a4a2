"""Settings of operators' SQL, `[sql]`."""

from dataclasses import dataclass

from watchdesk_proto.settings import Form, setting


def _positive(value: float) -> str | None:
    return None if value > 0 else "must be more than zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlConfig:
    """How much one query may take, and how many run at once."""

    timeout: float = setting("30s", form=Form.DURATION, check=_positive, help="A query is stopped after this long, unless it asks for another time.")
    max_timeout: float = setting("2m", form=Form.DURATION, check=_positive, help="The longest time that a query may ask for.")
    rows: int = setting(
        10_000, check=_positive, help="Rows answered, unless the query asks for another number; the answer says when there were more."
    )
    max_rows: int = setting(1_000_000, check=_positive, help="The most rows that a query may ask for.")
    max_bytes: int = setting("64MiB", form=Form.SIZE, check=_positive, help="An answer ends here; it is held in memory until it is sent.")
    memory_limit: int = setting(
        "512MiB",
        form=Form.SIZE,
        check=_positive,
        help="Memory that a query aims to stay within. What it can have at all is twice this and 1 GiB of address space.",
    )
    concurrency: int = setting(2, check=_positive, help="Queries that run at once; each is a process with one thread.")
    max_wait: float = setting("10s", form=Form.DURATION, check=_positive, help="How long a query waits for its turn before it is told to come back.")
