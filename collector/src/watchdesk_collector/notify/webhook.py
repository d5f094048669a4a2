"""Webhooks: one message as JSON, signed, posted once per attempt.

The receiver checks `X-Watchdesk-Signature: sha256=<hex>` against HMAC-SHA256 of its key over `<X-Watchdesk-Timestamp>.<body>`, and may remember
`Idempotency-Key` to see each message once. Redirects are not followed.
"""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from watchdesk_collector.clock import Clock
from watchdesk_collector.notify.config import WebhookConfig
from watchdesk_collector.notify.errors import DeliveryError, SecretUnreadable
from watchdesk_collector.notify.notification import AlertNote, Notification
from watchdesk_collector.notify.secrets import read_secret

NEVER_ACCEPTED = frozenset({400, 405, 410, 413, 415, 422})  # others, such as 401 and 404, an administrator may yet put right


class WebhookNotifier:
    """Sends to one [notify.webhook.NAME]."""

    def __init__(self, config: WebhookConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    async def send(self, notification: Notification, idempotency_key: str) -> None:
        """Post, and take any 2xx for delivered. **Errors**: DeliveryError, which names the server but not the path, where some keep a secret."""
        server = urlsplit(self._config.url).netloc
        body = body_of(notification, idempotency_key)
        try:
            headers = self._headers(body, idempotency_key)
            context = ssl.create_default_context(cafile=self._config.ca_file)
            async with (
                asyncio.timeout(self._config.timeout),
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
                session.post(self._config.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except SecretUnreadable as error:
            raise DeliveryError(str(error)) from error
        except TimeoutError as error:
            raise DeliveryError(f"{server} did not answer within {self._config.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryError(f"{server} cannot be reached: {type(error).__name__}") from error
        if 300 <= status < 400:
            raise DeliveryError(f"{server} answered with a redirect ({status}), which is not followed; set url to the new address")
        if not 200 <= status < 300:
            raise DeliveryError(f"{server} answered {status}", permanent=status in NEVER_ACCEPTED)

    def _headers(self, body: bytes, idempotency_key: str) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "Watchdesk", "Idempotency-Key": idempotency_key}
        secret = read_secret(file=self._config.secret_file, variable=self._config.secret_env)
        if secret is None:
            return headers
        timestamp = str(int(self._clock.now().timestamp()))
        return headers | {"X-Watchdesk-Timestamp": timestamp, "X-Watchdesk-Signature": signature(secret, timestamp, body)}


def body_of(notification: Notification, idempotency_key: str) -> bytes:
    """The JSON, the same for each attempt. docs/notifications.md describes it; keys are only ever added."""
    document = {
        "version": 1,
        "id": idempotency_key,
        "status": notification.told,
        "severity": notification.severity,
        "title": notification.title,
        "written_at": notification.written_at.isoformat(),
        "page_url": notification.page_url,
        "alerts": [_alert(alert) for alert in notification.alerts],
        "more_alerts": notification.more,
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What stands in `X-Watchdesk-Signature`."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _alert(alert: AlertNote) -> Mapping[str, object]:
    return {
        "incident": alert.incident_id,
        "rule": alert.rule,
        "severity": alert.severity,
        "host": alert.host,
        "labels": alert.labels,
        "summary": alert.summary,
        "value": alert.value,
        "condition": alert.condition,
        "since": alert.since.isoformat(),
        "fired_at": alert.fired_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "reason": alert.reason,
        "remedy": alert.remedy,
        "runbook": alert.runbook,
        "page_url": alert.page_url,
        "silence": alert.silence_command,
    }
