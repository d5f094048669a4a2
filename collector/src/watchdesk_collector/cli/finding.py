"""Which collector is meant: named by an option or the environment, else a running demo, else this machine's."""

import argparse
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchdesk_collector.cli.errors import USAGE, CliError

URL_VARIABLE = "WATCHDESK_URL"
TOKEN_VARIABLE = "WATCHDESK_TOKEN_FILE"  # noqa: S105  the name of a variable
DEMO_FILE = Path(".demo/cli.json")
CONFIG = Path("/etc/watchdesk/collector.toml")
STATE_DIR = Path("/var/lib/watchdesk-collector")
LISTEN = "127.0.0.1:9780"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a collector answers, and the file with the token that it takes."""

    url: str
    token_file: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every command that asks a collector."""
    parser.add_argument("--url", help=f"the collector, like http://127.0.0.1:9780; default: ${URL_VARIABLE}, a running demo, or this machine's")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help=f"file with the API token; default: ${TOKEN_VARIABLE}, or the collector's own"
    )


def find(arguments: argparse.Namespace, *, environment: Mapping[str, str] = os.environ, config: Path = CONFIG) -> Address:
    """The collector that the command line means. **Errors**: CliError when a file that should tell cannot be understood."""
    nearby = _demo(Path.cwd()) or _installed(config)
    url = arguments.url or environment.get(URL_VARIABLE) or nearby.url
    token_file = arguments.token_file or environment.get(TOKEN_VARIABLE) or nearby.token_file
    if not url.startswith(("http://", "https://")):
        raise CliError(f"{url!r} is not a URL; write it like http://127.0.0.1:9780", USAGE)
    return Address(url=url.rstrip("/"), token_file=Path(token_file))


def _demo(start: Path) -> Address | None:
    """The demo that runs in this folder or one above it."""
    for folder in (start, *start.parents):
        try:
            told = json.loads((folder / DEMO_FILE).read_text(encoding="utf-8"))
            return Address(url=told["url"], token_file=Path(told["token_file"]))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CliError(f"{folder / DEMO_FILE} cannot be used: {error}; delete it, or name a collector with --url", USAGE) from error
    return None


def _installed(config: Path) -> Address:
    """As the configuration says; read for these two keys alone, for checking all of it would load the whole collector."""
    listen = _read(config).get("web", {}).get("listen", LISTEN)
    return Address(url=f"http://{listen}", token_file=state_dir(config) / "api.token")


def state_dir(config: Path) -> Path:
    """Where the collector with this configuration keeps its state. **Errors**: CliError, when the configuration cannot be understood."""
    return Path(_read(config).get("state_dir", STATE_DIR))


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except (FileNotFoundError, PermissionError):
        return {}
    except (OSError, ValueError) as error:
        raise CliError(f"{config} cannot be used: {error}; `watchdesk-collector check-config` tells more", USAGE) from error
