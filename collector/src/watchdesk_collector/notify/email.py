"""Mail: one message as text and HTML, over SMTP."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from typing import Any

import aiosmtplib
import jinja2

from watchdesk_collector.notify.config import EmailConfig, Security
from watchdesk_collector.notify.errors import DeliveryError, SecretUnreadable
from watchdesk_collector.notify.notification import Notification, clean
from watchdesk_collector.notify.secrets import read_secret

LONGEST_SUBJECT = 150

log = logging.getLogger(__name__)


class EmailNotifier:
    """Sends to one [notify.email.NAME]."""

    def __init__(self, config: EmailConfig) -> None:
        self._config = config

    async def send(self, notification: Notification, idempotency_key: str) -> None:
        """Deliver to the server; that some of several recipients are refused is logged, as the others have it. **Errors**: DeliveryError."""
        config = self._config
        message = mail_of(notification, config, idempotency_key)
        try:
            async with asyncio.timeout(config.timeout):
                refused, _ = await aiosmtplib.send(message, sender=config.sender, recipients=list(config.to), **self._connection())
        except SecretUnreadable as error:
            raise DeliveryError(str(error)) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise DeliveryError(f"{config.server} does not take the user name and password ({error.code})") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            text = "; ".join(f"{refusal.recipient}: {refusal.code} {clean(refusal.message)}" for refusal in error.recipients)
            is_permanent = all(refusal.code >= 500 for refusal in error.recipients)
            raise DeliveryError(f"{config.server} refuses every recipient: {text}", permanent=is_permanent) from error
        except aiosmtplib.SMTPResponseException as error:
            raise DeliveryError(f"{config.server} answered {error.code} {clean(error.message)}", permanent=error.code >= 500) from error
        except TimeoutError as error:
            raise DeliveryError(f"{config.server}:{config.port} took longer than {config.timeout:g} s") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"{config.server}:{config.port}: {clean(str(error)) or type(error).__name__}") from error
        for recipient, why in refused.items():
            log.warning("%s refuses recipient %s, the others have the mail: %s", config.server, recipient, clean(str(why)))

    def _connection(self) -> Mapping[str, Any]:
        config = self._config
        return {
            "hostname": config.server,
            "port": config.port,
            "username": config.username,
            "password": read_secret(file=config.password_file, variable=config.password_env),
            "use_tls": config.security is Security.TLS,
            "start_tls": config.security is Security.STARTTLS,
            "tls_context": ssl.create_default_context(cafile=config.ca_file) if config.security is not Security.NONE else None,
            "timeout": config.timeout,
        }


def mail_of(notification: Notification, config: EmailConfig, idempotency_key: str) -> EmailMessage:
    """The mail. A recovery answers the mails about its problems, so that readers see them together."""
    domain = config.sender.rpartition("@")[2].rstrip("> ")
    message = EmailMessage()
    message["Subject"] = _shortened(f"[{notification.status}] {notification.title}")
    message["From"] = config.sender
    message["To"] = ", ".join(config.to)
    message["Date"] = format_datetime(notification.written_at)
    message["Message-ID"] = f"<{idempotency_key}@{domain}>"
    if notification.answers:
        references = " ".join(f"<{key}@{domain}>" for key in notification.answers)
        message["In-Reply-To"] = references
        message["References"] = references
    message["Auto-Submitted"] = "auto-generated"
    message["X-Watchdesk-Status"] = notification.told
    message["X-Watchdesk-Severity"] = notification.severity
    message.set_content(render_text(notification), cte="quoted-printable")
    message.add_alternative(render_html(notification), subtype="html", cte="quoted-printable")
    return message


def render_text(notification: Notification) -> str:
    """The body for readers of plain text."""
    return _templates().get_template("mail.txt").render(message=notification)


def render_html(notification: Notification) -> str:
    """The body for everybody else; everything that hosts sent is escaped."""
    return _templates().get_template("mail.html").render(message=notification)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("watchdesk_collector.notify"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _shortened(subject: str) -> str:
    line = clean(subject)
    return line if len(line) <= LONGEST_SUBJECT else line[: LONGEST_SUBJECT - 1] + "…"
