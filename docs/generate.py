"""Write what is made from the samplers, the settings, the commands and the counters, or, to compare it with what is there, `--check`."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from pages import collector_metrics, commands, configuration
from watchdesk_agent import catalogue

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is out of date")
    check = parser.parse_args().check
    stale = [path for path, text in generated() if not _bring_up_to_date(ROOT / path, text, write=not check)]
    for path in stale:
        print(f"{path} is out of date: run `make docs` and commit what it changes", file=sys.stderr)
    return 1 if stale else 0


def generated() -> Iterable[tuple[Path, str]]:
    """Every generated file: its path in the checkout, and what it should hold."""
    yield from catalogue.files()
    yield Path("docs/configuration.md"), configuration.render()
    yield Path("docs/commands.md"), commands.render()
    yield Path("docs/collector-metrics.md"), collector_metrics.render()


def _bring_up_to_date(path: Path, text: str, *, write: bool) -> bool:
    if write:
        path.write_text(text, encoding="utf-8")
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
