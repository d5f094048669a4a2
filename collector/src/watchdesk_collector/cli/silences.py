"""`watchdesk silences`: those in force."""

import argparse

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.client import client_of
from watchdesk_collector.cli.output import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    finding.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    found = client_of(arguments).get("/api/v1/silences")["silences"]
    if found:
        rows = [[str(one["id"]), one["host"] or "", one["rule"] or "", one["until"], one["reason"]] for one in found]
        print_table(("id", "host", "rule", "until", "reason"), rows, numeric=(0,))
    else:
        print("nothing is silenced")
    return 0
