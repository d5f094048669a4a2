"""`watchdesk-collector`: run the collector, or check its configuration.

Exit codes: 0 an orderly stop, 2 a configuration that cannot be used, 1 anything else that keeps the collector from running.
"""

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from watchdesk_proto.settings import ConfigError

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own log would say again, in its words, what our errors say; read when it is imported

from watchdesk_collector import __version__
from watchdesk_collector.app import StartError, run
from watchdesk_collector.config import DEFAULT_PATH, read_config

# A group of batches is thousands of objects that live for a moment; looking through them for garbage took 7 % of ingest.
GARBAGE_THRESHOLDS = (50_000, 20, 50)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("apscheduler", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        config = read_config(options.config)
        if options.command == "check-config":
            print(f"{options.config}: fine")
        else:
            gc.freeze()  # what is imported is never garbage
            gc.set_threshold(*GARBAGE_THRESHOLDS)
            asyncio.run(run(config))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except StartError as error:
        print(f"watchdesk-collector: {error}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options; docs/commands.md is written from it."""
    parser = argparse.ArgumentParser(prog="watchdesk-collector", description="Ingests, stores, alerts, serves pages, answers SQL.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in (("run", "run the collector in the foreground"), ("check-config", "say what is wrong with the configuration, and end")):
        command = commands.add_parser(name, help=help_text, description=help_text)
        command.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="PATH", help=f"default: {DEFAULT_PATH}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
