"""The command: the demo from its options to its exit code."""

import argparse
import sys
import time
from contextlib import ExitStack

from watchdesk_collector.cli.demo import story
from watchdesk_collector.cli.demo.options import add_arguments, options_of, port_complaint
from watchdesk_collector.cli.demo.screen import Screen
from watchdesk_collector.cli.demo.waiting import DemoError, Interrupted

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; its exit code. 0 after Ctrl-C, and after `--for` when everything added up."""
    options = options_of(arguments)
    if complaint := port_complaint(options.ports):
        print(complaint, file=sys.stderr)
        return 1
    began_s = time.monotonic()
    screen = Screen(started_at_s=began_s)
    try:
        with ExitStack() as ending:
            stage = story.set_up(options, screen)
            ending.enter_context(stage.waiter.listening())
            return _play(stage, ending, until_s=None if options.run_for_s is None else began_s + options.run_for_s)
    except DemoError as error:
        print(f"The demo cannot go on: {error}", file=sys.stderr)
        return 1


def _play(stage: story.Stage, ending: ExitStack, *, until_s: float | None) -> int:
    try:
        story.start(stage, ending)
        story.tell(stage)
        story.linger(stage, until_s=until_s)
    except Interrupted:
        stage.screen.step("Ending.")
    has_samples = stage.place.cli_file.exists()
    wrong = list(story.account(stage)) if has_samples else []
    for complaint in wrong:
        print(complaint, file=sys.stderr)
    return 1 if wrong else 0
