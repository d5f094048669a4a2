"""What an operator may set about telling people: the receivers, how long to try, and the heartbeat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from watchdesk_proto.settings import Form, setting

from watchdesk_collector.listen import is_loopback
from watchdesk_collector.notify.route import Receiver, Route


class Security(StrEnum):
    """How mail travels to the server."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


def _check_url(written: str) -> str | None:
    parts = urlsplit(written)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must be a whole address that starts with https:// or http://"
    if parts.username or parts.password:
        return "must not hold a user or password; it appears in messages and logs"
    return None


def _check_addresses(written: tuple[str, ...]) -> str | None:
    if not written:
        return "is empty; name at least one address"
    wrong = [address for address in written if "@" not in address or any(character in address for character in "\r\n")]
    return f"has {wrong[0]!r}, which is no mail address" if wrong else None


def _positive(seconds: float) -> str | None:
    return None if seconds > 0 else "must be more than zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailConfig:
    """One [notify.email.NAME]."""

    server: str = setting(help="Name or address of the mail server.", example="mail.example.org")
    port: int = setting(587, help="Its port: 587 with STARTTLS, 465 with TLS from the start, usually.")
    security: Security = setting(Security.STARTTLS, help='"starttls", "tls" (from the start), or "none", which only this machine\'s own server gets.')
    ca_file: Path | None = setting(None, help="Certificates to trust instead of the system's.")
    username: str | None = setting(None, help="User to log in as; no log-in without it.")
    password_file: Path | None = setting(None, help="File that holds the password.")
    password_env: str | None = setting(None, help="Environment variable that holds the password, instead of a file.")
    sender: str = setting(key="from", help="Address that mails come from.", example="watchdesk@example.org")
    to: tuple[str, ...] = setting(help="Addresses that mails go to.", check=_check_addresses, example='["ops@example.org"]')
    timeout: float = setting("20s", form=Form.DURATION, check=_positive, help="How long one attempt may take.")
    only: Route = setting(Route, help="Which alerts it gets.")

    def problems(self) -> Iterable[tuple[str, str]]:
        """Nothing travels in the clear, and a log-in has both its halves."""
        if self.security is Security.NONE and not is_loopback(self.server):
            yield "security", f'is "none", which sends mail to {self.server} in the clear; use "starttls" or "tls"'
        if (self.username is None) != (self.password_file is None and self.password_env is None):
            yield "username", "needs password_file or password_env with it, and the other way round"
        if "@" not in self.sender or any(character in self.sender for character in "\r\n"):
            yield "from", f"is {self.sender!r}, which is no mail address"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """One [notify.webhook.NAME]."""

    url: str = setting(help="Where the JSON is posted.", check=_check_url, example="https://chat.example.org/hooks/watchdesk")
    secret_file: Path | None = setting(None, help="File that holds the key of the signature; unsigned without one.")
    secret_env: str | None = setting(None, help="Environment variable that holds it, instead of a file.")
    ca_file: Path | None = setting(None, help="Certificates to trust instead of the system's.")
    timeout: float = setting("10s", form=Form.DURATION, check=_positive, help="How long one attempt may take.")
    only: Route = setting(Route, help="Which alerts it gets.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """[notify.retry]: after a failed attempt, wait; twice as long each time."""

    first: float = setting("5s", form=Form.DURATION, check=_positive, help="The first wait.")
    longest: float = setting("5m", form=Form.DURATION, check=_positive, help="No wait is longer than this.")
    give_up_after: float = setting("24h", form=Form.DURATION, check=_positive, help="A message older than this is given up, and that is told.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyConfig:
    """The [notify] table."""

    base_url: str = setting("http://127.0.0.1:9780", check=_check_url, help="Address of the pages as readers of messages reach them.")
    email: dict[str, EmailConfig] = setting(dict, help="Receivers by mail, by name.")
    webhook: dict[str, WebhookConfig] = setting(dict, help="Receivers by webhook, by name.")
    retry: RetryConfig = setting(RetryConfig, help="How long to try.")

    def receivers(self) -> Sequence[Receiver]:
        """All receivers, called `email.NAME` and `webhook.NAME`."""
        mails = [Receiver(name=f"email.{name}", route=config.only) for name, config in self.email.items()]
        hooks = [Receiver(name=f"webhook.{name}", route=config.only) for name, config in self.webhook.items()]
        return [*mails, *hooks]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatConfig:
    """The [heartbeat] table: somebody outside who notices when the collector stops calling."""

    url: str | None = setting(
        None, check=_check_url, help="Called while the collector is healthy; off without it.", example="https://hc.example.org/ping/…"
    )
    method: str = setting("GET", choices=("GET", "POST"), help="How it is called.")
    interval: float = setting(
        "60s", form=Form.DURATION, check=_positive, help="How often. Set the other side to miss it after about three times this."
    )
    timeout: float = setting("10s", form=Form.DURATION, check=_positive, help="How long one call may take.")
