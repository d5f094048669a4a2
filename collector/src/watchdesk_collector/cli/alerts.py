"""`watchdesk alerts`: what fires, and with --all what was resolved last."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.client import client_of
from watchdesk_collector.cli.output import print_table, since

_COLUMNS = ("severity", "state", "rule", "host", "for", "summary", "told")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also the alerts that were resolved last")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how alerts are written; default: %(default)s")
    finding.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    found = client_of(arguments).get("/api/v1/alerts")
    alerts = [*found["firing"], *(found["recent"] if arguments.all else ())]
    if arguments.format == "json":
        print(json.dumps(alerts, indent=1))
    elif alerts:
        print_table(_COLUMNS, [_row(alert) for alert in alerts], numeric=(4,))
    else:
        print("nothing fires" + ("" if arguments.all else "; --all shows what was resolved last"))
    return 0


def _row(alert: Mapping[str, Any]) -> list[str]:
    began = since(alert["since"]) if alert["resolved_at"] is None else f"{since(alert['resolved_at'])} ago"
    return [alert["severity"], alert["state"], alert["rule"], alert["host"], began, alert["summary"], alert["held"] or "yes"]
