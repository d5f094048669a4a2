"""`watchdesk hosts list` and `watchdesk hosts remove NAME`."""

import argparse
import json

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.client import client_of, quoted
from watchdesk_collector.cli.output import percent, print_table, since

_COLUMNS = ("host", "state", "seen", "cpu", "memory", "disk", "agent", "clock", "reason")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the hosts, worst first", description="list the hosts, worst first")
    listing.add_argument("--format", choices=("table", "json"), default="table", help="how hosts are written; default: %(default)s")
    listing.set_defaults(action=_list)
    removing = actions.add_parser("remove", help="stop watching a host", description="stop watching a host and free its name; its history stays")
    removing.add_argument("name", metavar="NAME", help="the host's name")
    removing.set_defaults(action=_remove)
    for action in (listing, removing):
        finding.add_arguments(action)


def run(arguments: argparse.Namespace) -> int:
    arguments.action(arguments)
    return 0


def _list(arguments: argparse.Namespace) -> None:
    hosts = client_of(arguments).get("/api/v1/hosts")["hosts"]
    if arguments.format == "json":
        print(json.dumps(hosts, indent=1))
        return
    rows = [
        [
            host["host"],
            host["state"],
            since(host["last_seen_at"]),
            percent(host["cpu_busy_ratio"]),
            percent(host["memory_used_ratio"]),
            percent(host["disk_used_ratio"]),
            host["agent_version"],
            f"{host['clock_offset_seconds']:+.0f} s" if host["clock_is_off"] else "",
            host["reason"],
        ]
        for host in hosts
    ]
    print_table(_COLUMNS, rows, numeric=(2, 3, 4, 5, 7))


def _remove(arguments: argparse.Namespace) -> None:
    removed = client_of(arguments).delete(f"/api/v1/hosts/{quoted(arguments.name)}")["removed"]
    print(f"{removed} is not watched any more; its history stays, and its agent is taken in anew if it returns")
