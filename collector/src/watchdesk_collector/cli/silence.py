"""`watchdesk silence NAME --for 2h`: for a while, nobody is told about a host or a rule."""

import argparse

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.client import client_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="HOST|RULE", help="the name of a host or of a rule")
    parser.add_argument("--for", dest="duration", required=True, metavar="DURATION", help='how long, like "2h"')
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; shown wherever the silence is")
    finding.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    body = {"target": arguments.target, "for": arguments.duration, "reason": arguments.reason}
    silence = client_of(arguments).post("/api/v1/silences", body)["silence"]
    what = f"host {silence['host']}" if silence["host"] else f"rule {silence['rule']}"
    print(f"{what} is silenced until {silence['until']}; `watchdesk unsilence {silence['id']}` ends it early")
    return 0
