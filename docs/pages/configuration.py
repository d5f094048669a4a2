"""docs/configuration.md: every key of both programs, from the settings dataclasses that read them."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pages.wording import sentence
from watchdesk_agent.config import Config as AgentConfig
from watchdesk_collector.config import Config as CollectorConfig
from watchdesk_proto.settings import Form

_HEAD = """\
# Configuration

Each program reads one TOML file. Both refuse a wrong file with every problem at once, each with its line and the remedy, and exit code 2;
`watchdesk-agent check-config` and `watchdesk-collector check-config` do only that. Durations are written `"10s"`, `"5m"`, `"2h"`, `"90d"`;
sizes `"256MiB"`, `"20GiB"`. A key without a default must be given. This page is written by `make docs` from the declarations that read the files.
"""


def render() -> str:
    """The whole page."""
    return "\n".join(
        [
            _HEAD,
            "## The agent: /etc/watchdesk/agent.toml\n",
            *_tables(AgentConfig, at=()),
            "## The collector: /etc/watchdesk/collector.toml\n",
            *_tables(CollectorConfig, at=()),
        ]
    )


def _tables(settings: Any, *, at: tuple[str, ...], header: str = "") -> Iterator[str]:
    """A heading and a table of keys for the settings type, then the same for each table below it."""
    wanted = typing.get_type_hints(settings)
    fields = dataclasses.fields(settings)
    below = [(field, table) for field in fields if (table := _table_below(wanted[field.name]))]
    own = [field for field in fields if _table_below(wanted[field.name]) is None]
    if header:
        yield f"### `{header}`\n"
        yield f"{(settings.__doc__ or '').strip().splitlines()[0]}\n"
    if own:
        yield "| key | written as | default | meaning |\n|---|---|---|---|"
        yield "\n".join(_row(field, wanted[field.name]) for field in own) + "\n"
    for field, (type_below, form) in below:
        path = (*at, _key(field), *(("NAME",) if form == "named" else ()))
        dotted = ".".join(path)
        yield from _tables(type_below, at=path, header=f"[[{dotted}]]" if form == "many" else f"[{dotted}]")


def _table_below(wanted: Any) -> tuple[Any, str] | None:
    """The settings type that a key holds, and whether it is one table, many of them, or one per name; None for a plain value."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        return wanted, "one"
    if origin in (types.UnionType, typing.Union):
        return next((table for argument in arguments if (table := _table_below(argument))), None)
    if origin in (tuple, list) and dataclasses.is_dataclass(arguments[0]):
        return arguments[0], "many"
    if origin is not None and issubclass(origin, Mapping) and dataclasses.is_dataclass(arguments[1]):
        return arguments[1], "named"
    return None


def _row(field: dataclasses.Field[Any], wanted: Any) -> str:
    metadata = field.metadata
    meaning = _cell(sentence(metadata["help"]))
    if metadata["example"]:
        meaning += f" Example: `{_cell(_example(metadata['example'], wanted))}`."
    return f"| `{_key(field)}` | {_written_as(wanted, metadata)} | {_default(field)} | {meaning} |"


def _written_as(wanted: Any, metadata: Mapping[str, Any]) -> str:
    if metadata["choices"]:
        return ", ".join(f'`"{choice}"`' for choice in metadata["choices"])
    return _type_in_words(wanted, metadata["form"])


def _type_in_words(wanted: Any, form: Form) -> str:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return _type_in_words(next(argument for argument in arguments if argument is not type(None)), form)
    if origin in (tuple, list):
        return f"list of {_type_in_words(arguments[0], form)}"
    if origin is not None and issubclass(origin, Mapping):
        return f"table of {_type_in_words(arguments[1], form)}"
    if form is not Form.PLAIN:
        return str(form)
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return ", ".join(f'`"{member}"`' for member in wanted)
    return {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}[wanted]


def _default(field: dataclasses.Field[Any]) -> str:
    default = field.metadata["default"]
    if default is dataclasses.MISSING:
        return "**required**"
    if callable(default) and not isinstance(default, type):
        return "see there"  # depends on the host
    if callable(default):
        default = default()
    if default is None or default in ((), [], {}):
        return "none"
    return f"`{_as_toml(default)}`"


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_as_toml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_as_toml(item)}" for key, item in value.items()) + " }"
    return str(value)


def _example(written: str, wanted: Any) -> str:
    """As it would stand in the file: texts in quotes."""
    is_text = _type_in_words(wanted, Form.PLAIN) in ("text", "path")
    return f'"{written}"' if is_text and not written.startswith('"') else written


def _key(field: dataclasses.Field[Any]) -> str:
    return field.metadata["key"] or field.name


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
