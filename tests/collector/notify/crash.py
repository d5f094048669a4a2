"""A collector's alerting and sending in a process of its own, to be killed. Usage: crash.py FOLDER MOMENT URL

MOMENT `recording`: dies inside the transaction that records an alert. `recorded`: dies when it is committed, before anything is sent.
`sending`: sends to URL and waits there to be killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from collector.alerting.world import DISK_FULL, World
from watchdesk_collector.alerting.engine import Change
from watchdesk_collector.notify.config import NotifyConfig, WebhookConfig
from watchdesk_collector.notify.notifiers import make_notifiers
from watchdesk_collector.notify.route import Receiver, Route
from watchdesk_collector.notify.sender import OutboxSender

HOOK = Receiver(name="webhook.hook", route=Route())


def make_world(folder: Path) -> World:
    return World(folder, DISK_FULL, receivers=[HOOK])


def make_sender(world: World, url: str) -> OutboxSender:
    config = NotifyConfig(webhook={"hook": WebhookConfig(url=url, timeout=60.0)})
    return OutboxSender(engine=world.ops, notifiers=make_notifiers(config, world.clock), retry=config.retry, clock=world.clock, metrics=world.metrics)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """Dispatches, and dies before the transaction is committed."""

    def __init__(self, world: World) -> None:
        self._dispatcher = world.engine._dispatcher

    def dispatch(self, connection: sa.Connection, changes: Sequence[Change], at: datetime) -> None:
        self._dispatcher.dispatch(connection, changes, at)
        if any(change.transition.to_state == "firing" for change in changes):
            die()


def main() -> None:
    folder, moment, url = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    world = make_world(folder)
    if moment == "recording":
        world.engine._dispatcher = Killer(world)
    world.run(120, used={"web1": 0.95})
    if moment == "recorded":
        die()
    asyncio.run(make_sender(world, url).run())


if __name__ == "__main__":
    main()
