"""The folder of a demo: its certificates, secrets and configuration files, and the state and logs of the two programs.

Invariant: a folder is emptied only if a demo made it.
"""

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchdesk_collector.cli.demo.certificates import TlsFiles, make_tls_files
from watchdesk_collector.cli.demo.waiting import DemoError

PROBE = "demo-port"
MAIL_USER = "watchdesk"
_MARK = "made-by-watchdesk-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where everything of one run is."""

    directory: Path
    tls: TlsFiles
    mail_password: str
    webhook_secret: str

    @property
    def collector_config(self) -> Path:
        return self.directory / "collector.toml"

    @property
    def agent_config(self) -> Path:
        return self.directory / "agent.toml"

    @property
    def collector_state(self) -> Path:
        return self.directory / "collector"

    @property
    def agent_state(self) -> Path:
        return self.directory / "agent"

    @property
    def agent_token(self) -> Path:
        return self.collector_state / "agent.token"

    @property
    def api_token(self) -> Path:
        return self.collector_state / "api.token"

    @property
    def application_log(self) -> Path:
        """The log that the agent tails."""
        return self.directory / "application.log"

    @property
    def cli_file(self) -> Path:
        """Tells `watchdesk`, run anywhere below the folder's parent, where this collector is."""
        return self.directory / "cli.json"


def prepare(directory: Path, ports: Mapping[str, int]) -> Place:
    """Empty the folder and fill it for a fresh run. **Errors**: DemoError when the folder holds something else."""
    _empty(directory)
    (directory / _MARK).touch()
    place = Place(
        directory=directory,
        tls=make_tls_files(directory / "tls"),
        mail_password=secrets.token_urlsafe(16),
        webhook_secret=secrets.token_urlsafe(24),
    )
    _write_secret(directory / "mail.password", place.mail_password)
    _write_secret(directory / "webhook.secret", place.webhook_secret)
    place.application_log.touch()
    place.collector_config.write_text(_collector(place, ports), encoding="utf-8")
    place.agent_config.write_text(_agent(place, ports), encoding="utf-8")
    return place


def announce(place: Place, *, url: str) -> None:
    """Let `watchdesk` find this collector until `withdraw`."""
    place.cli_file.write_text(json.dumps({"url": url, "token_file": str(place.api_token)}) + "\n", encoding="utf-8")


def withdraw(place: Place) -> None:
    place.cli_file.unlink(missing_ok=True)


def _empty(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()) and not (directory / _MARK).exists():
        raise DemoError(f"{directory} holds something that no demo made: choose an empty or new folder with --dir.")
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True)


def _write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.write_text(secret + "\n", encoding="ascii")


def _collector(place: Place, ports: Mapping[str, int]) -> str:
    return f"""\
# Written by `watchdesk demo`: everything on this machine, and short intervals.
state_dir = "{place.collector_state}"

[ingest]
listen = "127.0.0.1:{ports["grpc"]}"
tls_cert = "{place.tls.certificate}"
tls_key = "{place.tls.key}"

[web]
listen = "127.0.0.1:{ports["web"]}"

[alerting]
interval = "1s"
grace = "3s"

[notify]
base_url = "http://127.0.0.1:{ports["web"]}"

[notify.email.demo]
server = "127.0.0.1"
port = {ports["smtp"]}
ca_file = "{place.tls.authority}"
username = "{MAIL_USER}"
password_file = "{place.directory / "mail.password"}"
from = "watchdesk@localhost"
to = ["you@localhost"]

[notify.webhook.demo]
url = "http://127.0.0.1:{ports["webhook"]}/"
secret_file = "{place.directory / "webhook.secret"}"
"""


def _agent(place: Place, ports: Mapping[str, int]) -> str:
    return f"""\
# Written by `watchdesk demo`.
state_dir = "{place.agent_state}"

[collector]
address = "127.0.0.1:{ports["grpc"]}"
ca_file = "{place.tls.authority}"
token_file = "{place.agent_token}"

[sampling]
flush_interval = "1s"

[[probe]]
name = "{PROBE}"
kind = "tcp"
target = "127.0.0.1:{ports["probe"]}"
interval = "1s"
timeout = "1s"

[[probe]]
name = "status-page"
kind = "http"
target = "http://127.0.0.1:{ports["web"]}/healthz"
interval = "5s"
timeout = "2s"

[[log]]
name = "application"
files = ["{place.application_log}"]
"""
