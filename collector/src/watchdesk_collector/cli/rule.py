"""`watchdesk rule check FILE…`: whether a collector would take these rules. Needs no collector."""

import argparse
from pathlib import Path

from watchdesk_collector.cli.errors import USAGE, CliError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    checking = actions.add_parser("check", help="check rule files", description="check rule files: every problem with its line and the remedy")
    checking.add_argument("files", nargs="+", type=Path, metavar="FILE", help="rules in TOML")


def run(arguments: argparse.Namespace) -> int:
    from watchdesk_proto.catalogue import builtin  # noqa: PLC0415
    from watchdesk_proto.settings import ConfigError  # noqa: PLC0415

    from watchdesk_collector.alerting.rule_file import load_rules  # noqa: PLC0415  heavy

    try:
        rules = load_rules(arguments.files, builtin())
    except ConfigError as error:
        raise CliError("\n".join(["these rules cannot be used:", *(f"  {problem}" for problem in error.problems)]), USAGE) from error
    print(f"{', '.join(map(str, arguments.files))}: fine; with them {len(rules)} rules are in force, the shipped ones included")
    return 0
