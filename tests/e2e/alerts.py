"""An alert and its recovery by a real mail server and a real webhook; then a collector that is killed between firing and sending, and in the middle
of sending: the messages still arrive, one per idempotency key.

    .venv/bin/python tests/e2e/alerts.py
"""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TypeVar

from harness import Report, Site, finish, parser, site
from load import free_port
from watchdesk_collector.cli.demo.sinks import HookSink, Mail, MailSink
from watchdesk_collector.cli.demo.target import Target

T = TypeVar("T")
PASSWORD, SECRET = "the mail password", "the webhook secret"
TIMEOUT_S = 60.0
QUIET_S = 5.0
RULE = """
[[rule]]
name = "port-closed"
severity = "critical"
measurement = "probe"
when = "success < 1"
for = "2s"
summary = "{target} refuses connections"
"""


class StallingSink(HookSink):
    """Takes a webhook and does not answer before it is released."""

    def __init__(self, *, port: int, secret: str) -> None:
        super().__init__(port=port, secret=secret)
        self.released = threading.Event()

    def take(self, headers: Mapping[str, str], body: bytes) -> bool:
        taken = super().take(headers, body)
        self.released.wait(TIMEOUT_S)
        return taken


class Stage:
    """A site whose agent probes a port, and whose collector tells a mail server and a webhook that come and go."""

    def __init__(self, here: Site) -> None:
        self.here = here
        self.target = Target(port=free_port())
        self._mail_port, self._hook_port = free_port(), free_port()
        (here.directory / "rules.toml").write_text(RULE)
        (here.directory / "mail.password").write_text(PASSWORD)
        (here.directory / "webhook.secret").write_text(SECRET)
        here.configure(collector=self._collector_toml(), agent=self._agent_toml())

    def mails(self) -> MailSink:
        return MailSink(port=self._mail_port, tls=self.here.tls, user="watchdesk", password=PASSWORD)

    def hooks(self) -> HookSink:
        return HookSink(port=self._hook_port, secret=SECRET)

    def stalling_hooks(self) -> StallingSink:
        return StallingSink(port=self._hook_port, secret=SECRET)

    def wait_for_success(self) -> None:
        newest = "SELECT success FROM probe ORDER BY ts DESC LIMIT 1"
        self.here.wait("a successful probe", lambda: self.here.number(newest) == 1)

    def due(self) -> int:
        """Messages that are written down and not sent."""
        return int(self.here.ops("SELECT count(*) FROM outbox WHERE state = 'due'")[0][0])

    def _collector_toml(self) -> str:
        folder = self.here.directory
        return f"""
[alerting]
interval = "1s"
grace = "3s"
builtin = false
rules = ["{folder}/rules.toml"]
[notify.email.test]
server = "127.0.0.1"
port = {self._mail_port}
ca_file = "{self.here.tls.authority}"
username = "watchdesk"
password_file = "{folder}/mail.password"
from = "watchdesk@localhost"
to = ["you@localhost"]
[notify.webhook.test]
url = "http://127.0.0.1:{self._hook_port}/"
secret_file = "{folder}/webhook.secret"
"""

    def _agent_toml(self) -> str:
        return f"""
[[probe]]
name = "port"
kind = "tcp"
target = "127.0.0.1:{self.target.port}"
interval = "1s"
timeout = "1s"
"""


def run() -> Report:
    report = Report("Alert and recovery, and a collector that is killed on the way to telling")
    with site() as here:
        stage = Stage(here)
        stage.target.start()
        try:
            here.start()
            stage.wait_for_success()
            tell_both(stage, report)
            kill_between_firing_and_sending(stage, report)
            kill_while_sending(stage, report)
        finally:
            stage.target.stop()
    return report


def tell_both(stage: Stage, report: Report) -> None:
    """Nothing in the way."""
    mails, hooks = stage.mails(), stage.hooks()
    mails.start()
    hooks.start()
    began = time.monotonic()
    stage.target.stop()
    alert_mail, alert_hook = mails.received.get(timeout=TIMEOUT_S), hooks.received.get(timeout=TIMEOUT_S)
    report.figure("alert told after the port closed", f"{time.monotonic() - began:.1f} s")
    began = time.monotonic()
    stage.target.start()
    recovery_mail, recovery_hook = mails.received.get(timeout=TIMEOUT_S), hooks.received.get(timeout=TIMEOUT_S)
    report.figure("recovery told after the port opened", f"{time.monotonic() - began:.1f} s")
    mails.stop()
    hooks.stop()
    report.figure("subjects", [subject(alert_mail), subject(recovery_mail)])
    states = [alert_hook.body["status"], recovery_hook.body["status"]]
    report.claim(f"the webhooks say {states[0]} and {states[1]}", states == ["firing", "resolved"])
    report.claim("alert and recovery came by mail and by webhook, every signature was right", hooks.refused == 0)
    report.claim("alert and recovery have keys of their own", alert_hook.idempotency_key != recovery_hook.idempotency_key)


def kill_between_firing_and_sending(stage: Stage, report: Report) -> None:
    """The alert fires while nobody takes messages; the collector is killed; then somebody does."""
    stage.target.stop()
    stage.here.wait("messages that are due", lambda: stage.due() == 2)
    stage.here.collector.kill()
    mails, hooks = stage.mails(), stage.hooks()
    mails.start()
    hooks.start()
    stage.here.start_collector()
    stage.here.wait("nothing that is due", lambda: stage.due() == 0, timeout_s=TIMEOUT_S)
    time.sleep(QUIET_S)  # for what would come twice
    taken_mails, taken_hooks = drain(mails.received), drain(hooks.received)
    report.figure("killed between firing and sending: mails, webhooks", f"{len(taken_mails)}, {len(taken_hooks)}")
    report.claim("after the restart the alert came, once by mail and once by webhook", len(taken_mails) == len(taken_hooks) == 1)
    stage.target.start()
    mails.received.get(timeout=TIMEOUT_S)
    hooks.received.get(timeout=TIMEOUT_S)
    mails.stop()
    hooks.stop()


def kill_while_sending(stage: Stage, report: Report) -> None:
    """The webhook has reached its receiver, and the collector is killed before it hears so."""
    mails, stalling = stage.mails(), stage.stalling_hooks()
    mails.start()
    stalling.start()
    stage.wait_for_success()
    stage.target.stop()
    first = stalling.received.get(timeout=TIMEOUT_S)
    stage.here.collector.kill()
    stalling.released.set()
    stalling.stop()
    hooks = stage.hooks()
    hooks.start()
    stage.here.start_collector()
    second = hooks.received.get(timeout=TIMEOUT_S)
    time.sleep(QUIET_S)
    report.figure("killed while sending: keys", [first.idempotency_key, second.idempotency_key])
    report.claim("the same message came again under the same key", first.idempotency_key == second.idempotency_key and first.body == second.body)
    report.claim("and no third time", not drain(hooks.received))
    mails.stop()
    hooks.stop()


def drain(received: "queue.Queue[T]") -> Sequence[T]:
    taken = []
    while not received.empty():
        taken.append(received.get_nowait())
    return taken


def subject(mail: Mail) -> str:
    return str(mail.message["Subject"])


if __name__ == "__main__":
    parser(__doc__).parse_args()
    finish(run())
