"""The demo itself, step by step: start everything, raise one real alert, let it recover, and account for every sample at the end."""

import queue
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from watchdesk_collector.cli.demo import place as places
from watchdesk_collector.cli.demo.account import complaints, count_stored, read_sent
from watchdesk_collector.cli.demo.api import CollectorApi
from watchdesk_collector.cli.demo.options import DemoOptions
from watchdesk_collector.cli.demo.place import Place
from watchdesk_collector.cli.demo.programs import Program, command_path
from watchdesk_collector.cli.demo.screen import Screen
from watchdesk_collector.cli.demo.sinks import Hook, HookSink, Mail, MailSink
from watchdesk_collector.cli.demo.target import Target
from watchdesk_collector.cli.demo.waiting import Waiter

M = TypeVar("M", Mail, Hook)
READY_SQL = "SELECT ts, host, busy_ratio, iowait_ratio FROM cpu ORDER BY ts DESC LIMIT 5"
_START_TIMEOUT_S = 60.0
_STEP_TIMEOUT_S = 60.0
_PROGRESS_EVERY_S = 10.0


@dataclass(slots=True, kw_only=True)
class Told:
    """How many messages of each kind were shown."""

    mails: int = 0
    hooks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that one run has going."""

    options: DemoOptions
    place: Place
    collector: Program
    agent: Program
    mails: MailSink
    hooks: HookSink
    target: Target
    api: CollectorApi
    screen: Screen
    waiter: Waiter
    told: Told


def set_up(options: DemoOptions, screen: Screen) -> Stage:
    """Files, sinks and programs, not yet started. **Errors**: DemoError."""
    place = places.prepare(options.directory, options.ports)
    config = ("run", "--config")
    collector = Program(
        name="watchdesk-collector",
        command=[command_path("watchdesk-collector"), *config, place.collector_config],
        log=options.directory / "collector.log",
    )
    agent = Program(
        name="watchdesk-agent", command=[command_path("watchdesk-agent"), *config, place.agent_config], log=options.directory / "agent.log"
    )
    return Stage(
        options=options,
        place=place,
        collector=collector,
        agent=agent,
        mails=MailSink(port=options.ports["smtp"], tls=place.tls, user=places.MAIL_USER, password=place.mail_password),
        hooks=HookSink(port=options.ports["webhook"], secret=place.webhook_secret),
        target=Target(port=options.ports["probe"]),
        api=CollectorApi(url=url_of(options), token_file=place.api_token),
        screen=screen,
        waiter=Waiter(programs=(collector, agent)),
        told=Told(),
    )


def url_of(options: DemoOptions) -> str:
    return f"http://127.0.0.1:{options.ports['web']}"


def start(stage: Stage, ending: ExitStack) -> None:
    """Everything runs and the first samples are stored when it returns."""
    ports = stage.options.ports
    for part in (stage.mails, stage.hooks, stage.target):
        part.start()
        ending.callback(part.stop)
    stage.screen.step(
        f"Mail server (127.0.0.1:{ports['smtp']}), webhook server ({ports['webhook']}) and the probed port ({ports['probe']}) are open."
    )

    stage.collector.start()
    ending.callback(stage.collector.stop)
    stage.waiter.until("The collector's page", stage.api.is_healthy, timeout_s=_START_TIMEOUT_S)
    stage.screen.step(f"The collector runs (pid {stage.collector.pid}): gRPC with TLS on 127.0.0.1:{ports['grpc']}, page on {ports['web']}.")

    stage.agent.start()
    ending.callback(stage.agent.stop)
    stage.waiter.until("The first sample of this machine", lambda: stage.api.number("SELECT count(*) FROM cpu") > 0, timeout_s=_START_TIMEOUT_S)
    stage.screen.step(f"The agent runs (pid {stage.agent.pid}) and its first samples are stored.")

    places.announce(stage.place, url=url_of(stage.options))
    ending.callback(places.withdraw, stage.place)
    stage.screen.step(f"The status page:  {url_of(stage.options)}/")
    stage.screen.detail(f'Ask it in SQL:    {command_path("watchdesk")} sql "{READY_SQL}"')


def tell(stage: Stage) -> None:
    """One alert and its recovery, by mail and webhook."""
    port = stage.options.ports["probe"]
    stage.waiter.until("The probe's first success", lambda: _latest_success(stage) == 1, timeout_s=_STEP_TIMEOUT_S)
    stage.screen.step(f"The probe reaches port {port}. Now the port closes, and an alert must fire.")
    stage.target.stop()
    _log_error(stage.place, f"listener on port {port} is gone")
    _show_messages(stage, is_recovery=False)

    stage.screen.step(f"Port {port} opens again, and the alert must resolve.")
    stage.target.start()
    _show_messages(stage, is_recovery=True)


def linger(stage: Stage, *, until_s: float | None) -> None:
    """Keep everything running until then, on the monotonic clock; None is for ever."""
    stage.screen.step("Everything goes on running." + (" Ctrl-C ends it." if until_s is None else ""))
    while until_s is None or time.monotonic() < until_s:
        remaining = _PROGRESS_EVERY_S if until_s is None else min(_PROGRESS_EVERY_S, max(0.0, until_s - time.monotonic()))
        stage.waiter.pause(remaining)
        stage.screen.step(f"{count_stored(stage.api).samples:,} samples stored.")


def account(stage: Stage) -> Iterator[str]:
    """Stop the agent, show the summary, and say what does not add up."""
    stage.agent.stop()
    sent = read_sent(log=stage.agent.log, spool=stage.place.agent_state / "spool.db")
    stored = count_stored(stage.api)
    raised, recovered = stage.api.alerts()
    stage.screen.step("Summary")
    stage.screen.detail(f"taken by the agent       {sent.samples_taken or 0:>8,} samples, {sent.batches_spooled:,} batches")
    stage.screen.detail(f"acked by the collector   {sent.samples_acked or 0:>8,} samples, {sent.batches_acked:,} batches")
    stage.screen.detail(f"stored, counted in SQL   {stored.samples:>8,} samples, {stored.batches:,} batches")
    stage.screen.detail(f"alerts                   {raised:>8,} raised, {recovered:,} recovered")
    stage.screen.detail(f"messages                 {stage.told.mails:>8,} emails, {stage.told.hooks:,} webhooks with a right signature")
    yield from complaints(sent, stored)


def _show_messages(stage: Stage, *, is_recovery: bool) -> None:
    what = "recovery" if is_recovery else "alert"
    stage.screen.mail(f"{what} by email (STARTTLS, authenticated)", _arrival(stage, f"The {what} email", stage.mails.received, is_recovery))
    stage.told.mails += 1
    stage.screen.hook(f"{what} by webhook", _arrival(stage, f"The {what} webhook", stage.hooks.received, is_recovery))
    stage.told.hooks += 1


def _arrival(stage: Stage, what: str, received: "queue.Queue[M]", is_recovery: bool) -> M:
    """The message that the demo's probe causes; what else this machine has to complain about is only mentioned."""
    return stage.waiter.until(what, lambda: _poll(stage, received, is_recovery), timeout_s=_STEP_TIMEOUT_S)


def _poll(stage: Stage, received: "queue.Queue[M]", is_recovery: bool) -> M | None:
    try:
        message = received.get_nowait()
    except queue.Empty:
        return None
    if places.PROBE in message.text and message.tells_of_recovery == is_recovery:
        return message
    stage.screen.step(f"Another message came: {message.text.strip().splitlines()[0][:100]}")
    return None


def _latest_success(stage: Stage) -> int | None:
    rows = stage.api.sql(f"SELECT success FROM probe WHERE probe = '{places.PROBE}' ORDER BY ts DESC LIMIT 1")  # noqa: S608 -- our own constant
    return rows[0][0] if rows else None


def _log_error(place: Place, text: str) -> None:
    with place.application_log.open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now().astimezone().isoformat()} ERROR demo: {text}\n")
