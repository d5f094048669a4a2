"""`watchdesk notify test [NAME]`: whether the receivers can be reached."""

import argparse

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.client import client_of
from watchdesk_collector.cli.errors import FAILED, CliError

_PATIENCE_S = 120.0  # a mail server may take its time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    testing = actions.add_parser("test", help="send a test message", description="send a test message, at once and whatever is silenced")
    testing.add_argument("receiver", nargs="?", metavar="NAME", help="one receiver, like email.ops; default: all")
    finding.add_arguments(testing)


def run(arguments: argparse.Namespace) -> int:
    outcomes = client_of(arguments).post("/api/v1/notify/test", {"receiver": arguments.receiver}, timeout_s=_PATIENCE_S)["receivers"]
    if not outcomes:
        raise CliError("no receiver is configured; add [notify.email.NAME] or [notify.webhook.NAME] to the collector's configuration")
    for name, error in outcomes.items():
        print(f"{name}: {'delivered' if error is None else f'not delivered: {error}'}")
    return FAILED if any(error is not None for error in outcomes.values()) else 0
