"""The collector's configuration: composes what each part declares about itself, and reads the file. Nothing is decided here."""

from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.settings import load, setting

from watchdesk_collector.alerting.config import AlertingConfig
from watchdesk_collector.dispatch.config import DispatchConfig
from watchdesk_collector.history import HistoryConfig
from watchdesk_collector.ingest.config import IngestConfig
from watchdesk_collector.notify.config import HeartbeatConfig, NotifyConfig
from watchdesk_collector.sql.config import SqlConfig
from watchdesk_collector.web.config import WebConfig

DEFAULT_PATH = Path("/etc/watchdesk/collector.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """collector.toml."""

    state_dir: Path = setting(
        Path("/var/lib/watchdesk-collector"), help="Folder for history, ops.db and the tokens; belongs to this collector alone."
    )
    ingest: IngestConfig = setting(IngestConfig, help="Where agents connect.")
    history: HistoryConfig = setting(HistoryConfig, help="How long and how much is kept.")
    alerting: AlertingConfig = setting(AlertingConfig, help="Rules and their evaluation.")
    dispatch: DispatchConfig = setting(DispatchConfig, help="Grouping and maintenance windows.")
    notify: NotifyConfig = setting(NotifyConfig, help="Who is told, and how.")
    heartbeat: HeartbeatConfig = setting(HeartbeatConfig, help="Tells an outside watcher that this collector is alive.")
    sql: SqlConfig = setting(SqlConfig, help="Limits of operators' queries.")
    web: WebConfig = setting(WebConfig, help="Pages and HTTP API.")


def read_config(path: Path) -> Config:
    """**Errors**: ConfigError with every problem of the file."""
    return load(path, Config)
