"""docs/commands.md: every command with its options, from the parsers that read them."""

import argparse
from collections.abc import Iterator

from pages.wording import sentence
from watchdesk_agent.__main__ import make_parser as agent_parser
from watchdesk_collector.__main__ import make_parser as collector_parser
from watchdesk_collector.cli.main import make_parser as operator_parser

_HEAD = """\
# Commands

Three programs: `watchdesk-agent` on each host, `watchdesk-collector` on the server, and `watchdesk` for whoever operates it. Each says the same with
`--help`. Exit codes: 0 done, 1 it could not be done, 2 wrong options or a wrong configuration. This page is written by `make docs` from the programs.
"""


def render() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for parser in (agent_parser(), collector_parser(), operator_parser()) for line in _program(parser))])


def _program(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {parser.prog}\n"
    yield f"{parser.description}\n"
    yield from _arguments(parser)
    for command in _commands(parser):
        yield f"### {command.prog}\n"
        yield f"{sentence(command.description or '')}\n"
        yield from _arguments(command)


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands below a parser that do something, in order; of a group of commands, those in it."""
    for group in _groups(parser):
        for command in group.choices.values():
            if any(_groups(command)):
                yield from _commands(command)
            else:
                yield command


def _groups(parser: argparse.ArgumentParser) -> Iterator["argparse._SubParsersAction[argparse.ArgumentParser]"]:
    return (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = [_row(action) for action in parser._actions if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)]
    if rows:
        yield "| argument | meaning |\n|---|---|\n" + "\n".join(rows) + "\n"


def _row(action: argparse.Action) -> str:
    meaning = (action.help or "").replace("%(default)s", str(action.default))
    return f"| `{_cell(_written(action))}` | {sentence(_cell(meaning))} |"


def _written(action: argparse.Action) -> str:
    """`--for DURATION`, `QUERY`, `[FILE …]`."""
    value = (
        action.metavar
        if isinstance(action.metavar, str)
        else "{" + ",".join(map(str, action.choices)) + "}"
        if action.choices
        else action.dest.upper()
    )
    if not action.option_strings:
        return f"[{value}]" if action.nargs == "?" else f"{value} …" if action.nargs in ("*", "+") else value
    option = ", ".join(action.option_strings)
    return option if action.nargs == 0 else f"{option} {value}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
