"""`watchdesk unsilence ID`: end a silence early."""

import argparse

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.client import client_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, metavar="ID", help="the number that `watchdesk silences` shows")
    finding.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    silence = client_of(arguments).delete(f"/api/v1/silences/{arguments.id}")["silence"]
    what = f"host {silence['host']}" if silence["host"] else f"rule {silence['rule']}"
    print(f"{what} is not silenced any more")
    return 0
