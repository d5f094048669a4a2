"""`watchdesk sql`: a query and its rows."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from watchdesk_proto.settings import parse_duration

from watchdesk_collector.cli import finding
from watchdesk_collector.cli.client import Answer, client_of, error_of
from watchdesk_collector.cli.errors import USAGE, CliError
from watchdesk_collector.cli.output import print_table

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "U")
_PATIENCE_S = 150.0  # beyond any time limit and wait that a collector has by default


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", nargs="?", metavar="QUERY", help='like "SELECT host, max(busy_ratio) FROM cpu GROUP BY host"')
    parser.add_argument("--file", metavar="FILE", help="read the query from a file instead; - is standard input")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="how rows are written; default: %(default)s")
    parser.add_argument("--timeout", type=_duration, metavar="DURATION", help='stop the query after this long, like "10s"; default: sql.timeout')
    parser.add_argument("--max-rows", type=int, metavar="N", help="print at most so many rows; default: sql.rows")
    finding.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    query = _query(arguments)
    body = {
        "query": query,
        "format": "csv" if arguments.format == "csv" else "json",
        "timeout_s": arguments.timeout,
        "max_rows": arguments.max_rows,
    }
    answer = client_of(arguments).send("POST", "/api/v1/sql", body, timeout_s=_PATIENCE_S + (arguments.timeout or 0))
    if answer.status == 401:
        client_of(arguments).ask("GET", "/api/v1/silences")  # says in words what is wrong with the token
    if answer.status != 200:
        raise CliError(_complaint(answer))
    _print(answer, arguments.format)
    _tell_truncation(answer)
    return 0


def _query(arguments: argparse.Namespace) -> str:
    if (arguments.query is None) == (arguments.file is None):
        raise CliError("give either a query in quotes or --file", USAGE)
    if arguments.file is None:
        return str(arguments.query)
    try:
        return sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{arguments.file} cannot be read: {error}", USAGE) from error


def _complaint(answer: Answer) -> str:
    """The message, and below it where in the query it is."""
    error = error_of(answer)
    message = error.get("message") or f"the collector answered with status {answer.status}"
    if not error.get("excerpt"):
        return str(message)
    excerpt = "\n".join(f"    {line}" for line in error["excerpt"].split("\n"))
    return f"{message}\n  line {error['line']}, column {error['column']}:\n{excerpt}"


def _print(answer: Answer, format: str) -> None:
    if format == "table":
        found = answer.json()
        columns: Sequence[dict[str, str]] = found["columns"]
        numeric = [index for index, column in enumerate(columns) if column["type"].startswith(_NUMBERS) and not column["type"].endswith("]")]
        print_table([column["name"] for column in columns], [[_text(value) for value in row] for row in found["rows"]], numeric=numeric)
    else:
        sys.stdout.write(answer.body.decode())
    sys.stdout.flush()


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    return str(value)


def _tell_truncation(answer: Answer) -> None:
    limit = answer.headers.get("x-watchdesk-truncated")
    if limit is None:
        return
    remedy = "--max-rows asks for more" if limit == "rows" else "sql.max_bytes limits an answer; narrow the query"
    print(f"watchdesk: these are the first {answer.headers['x-watchdesk-rows']} rows, there are more; {remedy}", file=sys.stderr)


def _duration(written: str) -> float:
    try:
        return parse_duration(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
