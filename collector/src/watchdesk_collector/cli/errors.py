"""How a command fails."""

import sys

FAILED = 1
USAGE = 2


class CliError(Exception):
    """One sentence for the operator, perhaps with lines below it, and the exit code: 1 refused or failed, 2 wrong usage or configuration."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def show(message: str) -> None:
    """To stderr; on a terminal the name of the program stands out."""
    name = "\033[1;31mwatchdesk:\033[0m" if sys.stderr.isatty() else "watchdesk:"
    print(f"{name} {message}", file=sys.stderr)
