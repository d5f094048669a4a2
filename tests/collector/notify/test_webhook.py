"""Webhooks, over a real HTTP server."""

import asyncio
import hashlib
import hmac
import json
import socket
from pathlib import Path

import pytest
from collector.notify.samples import KEY, firing, note
from collector.notify.servers import HookServer
from fakes import FakeClock
from watchdesk_collector.notify.config import WebhookConfig
from watchdesk_collector.notify.errors import DeliveryError
from watchdesk_collector.notify.webhook import NEVER_ACCEPTED, WebhookNotifier


def notifier(url: str, *, secret_file: Path | None = None, timeout: float = 5.0) -> WebhookNotifier:
    return WebhookNotifier(WebhookConfig(url=url, secret_file=secret_file, timeout=timeout), FakeClock())


async def test_the_signature_verifies_as_documented(hooks: HookServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    await notifier(hooks.url, secret_file=secret).send(firing(), KEY)
    (hook,) = hooks.received
    timestamp = hook.headers["X-Watchdesk-Timestamp"]
    expected = hmac.new(b"geheim", timestamp.encode() + b"." + hook.body, hashlib.sha256).hexdigest()
    assert hook.headers["X-Watchdesk-Signature"] == f"sha256={expected}"
    assert hook.headers["Idempotency-Key"] == KEY
    assert hook.headers["Content-Type"] == "application/json"
    assert b"geheim" not in hook.body


async def test_without_a_secret_it_is_not_signed(hooks: HookServer) -> None:
    await notifier(hooks.url).send(firing(note(), note(2)), KEY)
    assert "X-Watchdesk-Signature" not in hooks.received[0].headers
    assert [alert["incident"] for alert in json.loads(hooks.received[0].body)["alerts"]] == [1, 2]


async def test_each_attempt_says_the_same(hooks: HookServer) -> None:
    for _ in range(2):
        await notifier(hooks.url).send(firing(), KEY)
    assert hooks.received[0].body == hooks.received[1].body


async def test_redirects_are_not_followed(hooks: HookServer) -> None:
    hooks.answers.append(307)
    with pytest.raises(DeliveryError, match=r"answered with a redirect \(307\), which is not followed; set url to the new address") as raised:
        await notifier(hooks.url).send(firing(), KEY)
    assert len(hooks.received) == 1
    assert not raised.value.permanent


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 429, 500, 503])
async def test_what_the_receiver_will_never_take_is_permanent(hooks: HookServer, status: int) -> None:
    hooks.answers.append(status)
    with pytest.raises(DeliveryError, match=f"answered {status}") as raised:
        await notifier(hooks.url).send(firing(), KEY)
    assert raised.value.permanent is (status in NEVER_ACCEPTED)
    assert "token-in-the-path" not in str(raised.value)


async def test_a_receiver_that_is_slow_or_away_is_tried_again_later(hooks: HookServer) -> None:
    hooks.hold = asyncio.Event()
    with pytest.raises(DeliveryError, match=r"did not answer within 0\.2 s") as slow:
        await notifier(hooks.url, timeout=0.2).send(firing(), KEY)
    hooks.hold.set()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(DeliveryError, match="cannot be reached") as away:
            await notifier(f"http://127.0.0.1:{free.getsockname()[1]}/secret").send(firing(), KEY)
    assert not slow.value.permanent
    assert not away.value.permanent
    assert "/secret" not in str(away.value)
