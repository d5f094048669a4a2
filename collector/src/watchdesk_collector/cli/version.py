"""`watchdesk version`."""

import argparse

from watchdesk_collector import __version__


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_arguments: argparse.Namespace) -> int:
    print(f"watchdesk {__version__}")
    return 0
