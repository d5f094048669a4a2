"""The command line of `watchdesk selftest`, and what must be installed before anything of it can be loaded."""

import argparse
import importlib.util
import secrets
from pathlib import Path

from watchdesk_collector.cli.errors import USAGE, CliError

_NEEDED = ("watchdesk_agent", "cryptography")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `watchdesk selftest`."""
    parser.add_argument("--rounds", type=_count, default=50, metavar="N", help="how many faults, one after another; default: %(default)s")
    parser.add_argument("--seed", type=int, help="repeat the faults, victims and delays of the run that printed it; default: a new one")
    parser.add_argument("--kinds", metavar="KINDS", help="these kinds of faults alone, with commas between them; default: all")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep all files of the run there; a new or empty folder")
    parser.add_argument("--list", action="store_true", help="list the kinds of faults, and end")


def run(arguments: argparse.Namespace) -> int:
    """0 when nothing was lost or doubled, 1 when something was or the run could not go on, 130 after Ctrl-C. **Errors**: CliError."""
    _require_everything()
    from watchdesk_collector.cli.selftest import run as runs  # noqa: PLC0415  loads what has just been looked for

    kinds = runs.choose(None if arguments.kinds is None else arguments.kinds.split(","))
    if arguments.list:
        runs.show(kinds)
        return 0
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    return runs.play(kinds, rounds=arguments.rounds, seed=seed, keep=arguments.keep)


def _require_everything() -> None:
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise CliError(
            "the self-test runs agents on this machine, and watchdesk-agent is not installed here: install watchdesk-collector[demo]", USAGE
        )


def _count(written: str) -> int:
    if not written.isdecimal() or int(written) < 1:
        raise argparse.ArgumentTypeError(f"{written!r} is not a number of rounds; give 1 or more")
    return int(written)
