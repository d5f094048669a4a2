"""`watchdesk-agent`: run the agent, check its configuration, or show what it measures.

Exit codes: 0 an orderly stop, 2 a configuration that cannot be used, 1 anything else that keeps the agent from running.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from watchdesk_agent.lean import lean_imports

with lean_imports():
    from watchdesk_proto.settings import ConfigError

    from watchdesk_agent import __version__
    from watchdesk_agent.app import make_samplers, run
    from watchdesk_agent.catalogue import all_measurements
    from watchdesk_agent.clock import SystemClock
    from watchdesk_agent.config import DEFAULT_PATH, SamplingConfig, read_config
    from watchdesk_agent.show import render_json, render_measurements, render_text, take_samples
    from watchdesk_agent.spool import SpoolError
    from watchdesk_agent.state import StateError
    from watchdesk_agent.uplink import CredentialError, Tally, check_credentials

BETWEEN_READINGS_S = 1.0  # rates need two


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    options = make_parser().parse_args(arguments)
    _set_up_logging()
    try:
        return int(options.command(options))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (StateError, SpoolError) as error:
        print(f"watchdesk-agent: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 1


def _run(options: argparse.Namespace) -> int:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what it has to say is told in the uplink's own words
    return run(read_config(options.config))


def _check_config(options: argparse.Namespace) -> int:
    config = read_config(options.config)
    try:
        check_credentials(config.collector)
    except CredentialError as error:
        print(f"{options.config}: {error}", file=sys.stderr)
        return 2
    print(f"{options.config}: fine")
    return 0


def _sample(options: argparse.Namespace) -> int:
    """Without a configuration file, as before the agent is set up, with the default settings."""
    sampling = read_config(options.config).sampling if options.config != DEFAULT_PATH or DEFAULT_PATH.exists() else SamplingConfig()
    samplers, clock = make_samplers(sampling, Tally()), SystemClock()
    render = render_json if options.json else render_text
    take_samples(samplers, clock)
    while True:
        time.sleep(BETWEEN_READINGS_S)
        print(render(take_samples(samplers, clock)), flush=True)
        if options.once:
            return 0


def _metrics(options: argparse.Namespace) -> int:
    print(render_measurements(all_measurements()))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options; docs/commands.md is written from it."""
    parser = argparse.ArgumentParser(prog="watchdesk-agent", description="Samples this host, keeps what it measured, and sends it to the collector.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, help_text in (
        ("run", _run, "run the agent in the foreground"),
        ("check-config", _check_config, "say what is wrong with the configuration, and end"),
        ("sample", _sample, "show what the samplers measure, each second; sends nothing"),
        ("metrics", _metrics, "list all measurements and their columns"),
    ):
        command = commands.add_parser(name, help=help_text, description=help_text)
        command.set_defaults(command=function)
        if function is not _metrics:
            command.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="PATH", help=f"default: {DEFAULT_PATH}")
        if function is _sample:
            command.add_argument("--once", action="store_true", help="once instead of each second")
            command.add_argument("--json", action="store_true", help="as JSON instead of a line per row")
    return parser


def _set_up_logging() -> None:
    timestamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "  # the journal has its own
    logging.basicConfig(level=logging.INFO, format=f"{timestamp}%(levelname)s %(message)s", stream=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
