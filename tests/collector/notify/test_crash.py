"""kill -9 between an alert and its message: it still arrives, under one idempotency key."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from collector.notify.crash import make_sender, make_world
from collector.notify.servers import HookServer
from watchdesk_collector.ops import alerts

TESTS = Path(__file__).parents[2]


async def start(folder: Path, moment: str, url: str) -> asyncio.subprocess.Process:
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    script = str(TESTS / "collector" / "notify" / "crash.py")
    return await asyncio.create_subprocess_exec(sys.executable, script, str(folder), moment, url, env=environment)


@pytest.mark.parametrize("moment", ["recording", "recorded"])
async def test_killed_before_sending_the_message_arrives_once(hooks: HookServer, tmp_path: Path, moment: str) -> None:
    process = await start(tmp_path, moment, hooks.url)
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    assert hooks.received == []

    world = make_world(tmp_path)
    assert len(alerts.firing(world.ops)) == (1 if moment == "recorded" else 0)
    world.clock.advance(120)
    world.restart()
    world.run(30, used={"web1": 0.95})
    sender = make_sender(world, hooks.url)
    while await sender.send_next("webhook.hook"):
        pass
    assert len(hooks.received) == 1
    assert [row["state"] for row in world.messages()] == ["sent"]
    assert [to for _, to, _ in world.transitions()] == ["pending", "firing"]


async def test_killed_while_sending_the_message_is_repeated_under_the_same_key(hooks: HookServer, tmp_path: Path) -> None:
    hooks.hold = asyncio.Event()
    process = await start(tmp_path, "sending", hooks.url)
    await hooks.inbox.hold(1)
    process.kill()
    await process.wait()
    hooks.hold.set()

    world = make_world(tmp_path)
    world.clock.advance(120)
    sender = make_sender(world, hooks.url)
    assert await sender.send_next("webhook.hook")
    assert not await sender.send_next("webhook.hook")
    first, second = hooks.received
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body
