"""The entry point: reads the command line, loads the one command that it names, and turns what goes wrong into a sentence and an exit code."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

from watchdesk_collector import __version__
from watchdesk_collector.cli import errors
from watchdesk_collector.cli.errors import CliError


class Command(Protocol):
    """A command's module."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


class Entry(NamedTuple):
    """A command by name; `module` is below `watchdesk_collector.cli`."""

    name: str
    module: str
    help: str


COMMANDS = (
    Entry("status", "status", "say in one line whether the collector is well"),
    Entry("sql", "sql", "ask history in SQL"),
    Entry("hosts", "hosts", "list the hosts, or stop watching one"),
    Entry("alerts", "alerts", "list what fires; with --all also what was resolved last"),
    Entry("silence", "silence", "tell nobody of a host or a rule for a while"),
    Entry("silences", "silences", "list the silences in force"),
    Entry("unsilence", "unsilence", "end a silence early"),
    Entry("rule", "rule", "check rule files"),
    Entry("notify", "notify", "send a test message to the receivers"),
    Entry("backup", "backup", "copy the state of a stopped collector"),
    Entry("demo", "demo.command", "run the whole product on this machine and watch one alert"),
    Entry("selftest", "selftest.command", "break agents and a collector of its own in every way, and count what is lost or doubled"),
    Entry("version", "version", "print the version"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = make_parser(only=next((word for word in given if not word.startswith("-")), "")).parse_args(given)
    try:
        return _module(options.module).run(options)
    except CliError as error:
        errors.show(str(error))
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def make_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The command line; with `only` just that command knows its arguments, and no other module is loaded."""
    parser = argparse.ArgumentParser(prog="watchdesk", description="Asks and operates a Watchdesk collector.")
    parser.add_argument("--version", action="version", version=__version__, help="print the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for entry in COMMANDS:
        command = commands.add_parser(entry.name, help=entry.help, description=entry.help)
        command.set_defaults(module=entry.module)
        if only is None or only == entry.name:
            _module(entry.module).add_arguments(command)
    return parser


def _module(name: str) -> Command:
    return cast(Command, importlib.import_module(f"watchdesk_collector.cli.{name}"))


if __name__ == "__main__":
    sys.exit(main())
