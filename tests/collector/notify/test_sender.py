"""The outbox on its way out: attempts, waits, the end of patience, and what is told about them."""

import asyncio
import logging
from pathlib import Path

import pytest
import sqlalchemy as sa
from collector.alerting.world import DISK_FULL, World
from collector.notify.servers import HookServer, MailServer
from watchdesk_collector.clock import to_us
from watchdesk_collector.notify.config import EmailConfig, NotifyConfig, RetryConfig, WebhookConfig
from watchdesk_collector.notify.notifiers import NotifyTest, make_notifiers
from watchdesk_collector.notify.sender import OutboxSender
from watchdesk_collector.ops import events
from watchdesk_collector.ops.schema import attempt

RETRY = RetryConfig(first=5.0, longest=60.0, give_up_after=600.0)


def made(tmp_path: Path, config: NotifyConfig) -> tuple[World, OutboxSender]:
    world = World(tmp_path, DISK_FULL, receivers=config.receivers())
    return world, sender_of(world, config)


def sender_of(world: World, config: NotifyConfig) -> OutboxSender:
    return OutboxSender(engine=world.ops, notifiers=make_notifiers(config, world.clock), retry=RETRY, clock=world.clock, metrics=world.metrics)


def attempts(world: World) -> list[tuple[str | None, bool | None]]:
    with world.ops.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(attempt.c.error, attempt.c.is_permanent).order_by(attempt.c.id))]


def outcomes(world: World) -> list[str]:
    return [row["state"] for row in world.messages()]


async def test_alert_and_recovery_arrive_by_mail_and_by_webhook(
    tmp_path: Path, mail: MailServer, hooks: HookServer, email_config: EmailConfig
) -> None:
    world, sender = made(tmp_path, NotifyConfig(email={"ops": email_config}, webhook={"chat": WebhookConfig(url=hooks.url)}))
    for used in (0.95, 0.5):
        world.run(120, used={"web1": used})
        for receiver in ("email.ops", "webhook.chat"):
            assert await sender.send_next(receiver)
            assert not await sender.send_next(receiver)
    problem, recovery = mail.received
    assert (problem["X-Watchdesk-Status"], recovery["X-Watchdesk-Status"]) == ("firing", "resolved")
    assert recovery["In-Reply-To"] == problem["Message-ID"]
    assert len(hooks.received) == 2
    assert outcomes(world) == ["sent"] * 4
    told = [event.message for event in events.timeline(world.ops, incident_id=1) if event.kind == "notification.sent"]
    assert told == [
        "email.ops was told (firing)",
        "webhook.chat was told (firing)",
        "email.ops was told (resolved)",
        "webhook.chat was told (resolved)",
    ]


async def test_a_failed_attempt_waits_twice_as_long_each_time_up_to_a_bound(tmp_path: Path, hooks: HookServer) -> None:
    hooks.answers += [503] * 6
    world, sender = made(tmp_path, NotifyConfig(webhook={"chat": WebhookConfig(url=hooks.url)}))
    world.run(120, used={"web1": 0.95})
    for wait_s in (5, 10, 20, 40, 60, 60):
        assert await sender.send_next("webhook.chat")
        assert world.messages()[0]["due_at_us"] == to_us(world.clock.now()) + wait_s * 1_000_000
        assert not await sender.send_next("webhook.chat")
        world.clock.advance(wait_s)
    assert await sender.send_next("webhook.chat")
    assert outcomes(world) == ["sent"]
    assert [error for error, _ in attempts(world)] == [f"127.0.0.1:{hooks.port} answered 503"] * 6 + [None]
    assert [event.kind for event in events.timeline(world.ops, incident_id=1)] == ["alert.firing", "notification.failed", "notification.sent"]


async def test_a_message_is_given_up_after_a_while_and_that_is_told(tmp_path: Path, hooks: HookServer, caplog: pytest.LogCaptureFixture) -> None:
    hooks.answers += [500] * 100
    world, sender = made(tmp_path, NotifyConfig(webhook={"chat": WebhookConfig(url=hooks.url)}))
    world.run(120, used={"web1": 0.95})
    for _ in range(100):
        await sender.send_next("webhook.chat")
        world.clock.advance(30)
    assert outcomes(world) == ["given_up"]
    assert events.timeline(world.ops, incident_id=1)[-1].message == f"webhook.chat will not be told (firing): 127.0.0.1:{hooks.port} answered 500"
    assert "gave up telling webhook.chat after" in caplog.text
    assert world.metrics.registry.get_sample_value("watchdesk_notify_messages_given_up_total", {"receiver": "webhook.chat"}) == 1
    world.run(60, used={"web1": 0.5})
    while await sender.send_next("webhook.chat"):
        pass
    assert outcomes(world) == ["given_up", "dropped"], "who was never told of the problem is not told of its end"


async def test_a_permanent_refusal_is_given_up_at_once(tmp_path: Path, hooks: HookServer) -> None:
    hooks.answers.append(413)
    world, sender = made(tmp_path, NotifyConfig(webhook={"chat": WebhookConfig(url=hooks.url)}))
    world.run(120, used={"web1": 0.95})
    await sender.send_next("webhook.chat")
    assert outcomes(world) == ["given_up"]
    assert attempts(world) == [(f"127.0.0.1:{hooks.port} answered 413", True)]


async def test_a_recovery_waits_until_its_problem_has_been_sent(tmp_path: Path, hooks: HookServer) -> None:
    hooks.answers.append(503)
    world, sender = made(tmp_path, NotifyConfig(webhook={"chat": WebhookConfig(url=hooks.url)}))
    world.run(120, used={"web1": 0.95})
    assert await sender.send_next("webhook.chat")
    with world.ops.begin() as connection:
        connection.exec_driver_sql("UPDATE outbox SET due_at_us = due_at_us + 300000000")
    world.run(60, used={"web1": 0.5})
    assert len(world.messages()) == 2
    assert not await sender.send_next("webhook.chat")
    world.clock.advance(300)
    assert [await sender.send_next("webhook.chat") for _ in range(3)] == [True, True, False]
    assert [b'"status": "firing"' in hook.body for hook in hooks.received] == [True, True, False]


async def test_a_receiver_that_hangs_holds_up_nobody_else(tmp_path: Path, mail: MailServer, hooks: HookServer, email_config: EmailConfig) -> None:
    hooks.hold = asyncio.Event()
    world, sender = made(tmp_path, NotifyConfig(email={"ops": email_config}, webhook={"chat": WebhookConfig(url=hooks.url, timeout=60.0)}))
    world.run(120, used={"web1": 0.95})
    running = asyncio.create_task(sender.run())
    await hooks.inbox.hold(1)
    await mail.inbox.hold(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    hooks.hold.set()
    assert [row["state"] for row in world.messages() if row["receiver"] == "webhook.chat"] == ["due"]


async def test_messages_for_a_receiver_that_is_gone_are_dropped(tmp_path: Path, hooks: HookServer) -> None:
    world, _ = made(tmp_path, NotifyConfig(webhook={"chat": WebhookConfig(url=hooks.url)}))
    world.run(120, used={"web1": 0.95})
    sender_of(world, NotifyConfig()).drop_strangers()
    assert outcomes(world) == ["dropped"]
    assert events.recent(world.ops, limit=1)[0].message == "1 messages to webhook.chat were dropped: the configuration does not name it any more"


async def test_secrets_are_in_no_row_and_no_log(
    tmp_path: Path, mail: MailServer, hooks: HookServer, email_config: EmailConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "secret").write_text("geheim-4711")
    mail.refusals.append("451 later")
    hooks.answers.append(500)
    hook = WebhookConfig(url=hooks.url, secret_file=tmp_path / "secret")
    world, sender = made(tmp_path, NotifyConfig(email={"ops": email_config}, webhook={"chat": hook}))
    world.run(120, used={"web1": 0.95})
    for receiver in ("email.ops", "webhook.chat"):
        await sender.send_next(receiver)
    with world.ops.connect() as connection:
        everything = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("watchdesk", "aiosmtplib", "asyncio")))
    for secret in ("geheim-4711", "pässword", "token-in-the-path"):
        assert secret not in everything
        assert secret not in logged


async def test_a_test_message_tells_for_each_receiver_whether_it_arrived(
    tmp_path: Path, mail: MailServer, hooks: HookServer, email_config: EmailConfig
) -> None:
    hooks.answers.append(404)
    world, _ = made(tmp_path, NotifyConfig(email={"ops": email_config}, webhook={"chat": WebhookConfig(url=hooks.url)}))
    config = NotifyConfig(email={"ops": email_config}, webhook={"chat": WebhookConfig(url=hooks.url)})
    notify_test = NotifyTest(notifiers=make_notifiers(config, world.clock), clock=world.clock, base_url="http://127.0.0.1:9780")
    assert await notify_test(None) == {"email.ops": None, "webhook.chat": f"127.0.0.1:{hooks.port} answered 404"}
    assert mail.received[0]["Subject"] == "[INFO] watchdesk: this is a test: messages from Watchdesk reach you"
    assert await notify_test("webhook.chat") == {"webhook.chat": None}
    assert world.messages() == []
    with pytest.raises(KeyError):
        await notify_test("webhook.other")
