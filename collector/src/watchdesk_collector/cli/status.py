"""`watchdesk status`: one line, and an exit code for scripts."""

import argparse
from collections.abc import Mapping
from typing import Any

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.client import client_of
from watchdesk_collector.cli.errors import FAILED
from watchdesk_collector.cli.output import duration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    finding.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    client = client_of(arguments)
    health = client.send("GET", "/healthz").json()
    if not health["ok"]:
        print(f"not well: {'; '.join(_troubles(health))}")
        return FAILED
    hosts = client.get("/api/v1/hosts")["hosts"]
    firing = client.get("/api/v1/alerts")["firing"]
    print(f"well: {_newest(health)}; {_count(len(hosts), 'host')}, {_count(len(firing), 'alert')} firing; {_age(health)}")
    return 0


def _troubles(health: Mapping[str, Any]) -> list[str]:
    return [f"{store} {health[store]['error']}" for store in ("history", "ops") if not health[store]["ok"]]


def _newest(health: Mapping[str, Any]) -> str:
    age = health["history"]["last_commit_age_seconds"]
    return "no batch in the last day" if age is None else f"newest batch {duration(age)} ago"


def _age(health: Mapping[str, Any]) -> str:
    return f"version {health['version']}, up {duration(health['uptime_seconds'])}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
