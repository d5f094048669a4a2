"""Settings of the ingest endpoint, `[ingest]`."""

from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.settings import Form, setting

from watchdesk_collector.listen import parse_listen


def _listen_complaint(listen: str) -> str | None:
    try:
        parse_listen(listen)
    except ValueError as error:
        return f"is wrong: {error}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Where agents connect, and how much of them is taken at once."""

    listen: str = setting(
        "127.0.0.1:9740", help="Address and port for agents; beyond loopback only with tls_cert and tls_key.", check=_listen_complaint
    )
    tls_cert: Path | None = setting(None, help="Certificate chain (PEM) that agents check against their ca_file.", example="/etc/watchdesk/tls.crt")
    tls_key: Path | None = setting(None, help="Private key (PEM) of tls_cert.", example="/etc/watchdesk/tls.key")
    token_file: Path | None = setting(
        None,
        help="File with the bearer token that agents present; default: agent.token in state_dir, made at first start.",
        example="/etc/watchdesk/agent.token",
    )
    commit_interval: float = setting("250ms", form=Form.DURATION, help="How long batches are gathered into one transaction; an ack waits as long.")
    commit_rows: int = setting(50_000, help="Backfill rows taken into one transaction; keeps live batches from waiting behind an outage's.")
    max_batch_bytes: int = setting("1MiB", form=Form.SIZE, help="A larger batch is rejected; agents learn the limit and split.")
    max_in_flight: int = setting(16, help="Unacked batches that one agent may have under way.")
    max_queued_bytes: int = setting(
        "64MiB", form=Form.SIZE, help="Bytes of batches waiting for a commit, half for what is live, half for backfill; beyond it agents wait."
    )
    max_greetings: int = setting(
        1000, help="Agents that may wait to be welcomed, as when all return after an outage; more are asked to come again in some seconds."
    )
    clock_tolerance: float = setting(
        "2s", form=Form.DURATION, help="A host whose clock is further off than this is flagged, until it is off by less than half of it."
    )
    max_future: float = setting("5m", form=Form.DURATION, help="A sample dated further ahead of the collector's clock is rejected.")
