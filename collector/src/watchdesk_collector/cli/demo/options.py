"""What `watchdesk demo` can be told, and whether its ports are free."""

import argparse
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.settings import parse_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of 127.0.0.1 that the demo uses, with the option that moves it."""

    name: str
    default: int
    help: str

    @property
    def option(self) -> str:
        return f"--{self.name}-port"


PORTS = (
    Port(name="grpc", default=9740, help="where the agent reaches the collector"),
    Port(name="web", default=9780, help="the status page and the API"),
    Port(name="smtp", default=9725, help="the mail server that takes the alert emails"),
    Port(name="webhook", default=9781, help="the server that takes the webhooks"),
    Port(name="probe", default=9790, help="the port that is probed, closed and opened again"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """`ports` by `Port.name`; `run_for_s` None means until Ctrl-C."""

    directory: Path
    ports: Mapping[str, int]
    run_for_s: float | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `watchdesk demo`."""
    parser.add_argument(
        "--for", dest="run_for", metavar="DURATION", type=_duration, help='end by itself after this long, like "60s"; default: at Ctrl-C'
    )
    parser.add_argument("--dir", type=Path, default=Path(".demo"), help="where everything the demo writes goes; default: %(default)s")
    for port in PORTS:
        parser.add_argument(port.option, type=_port, default=port.default, metavar="PORT", help=f"{port.help}; default: %(default)s")


def options_of(arguments: argparse.Namespace) -> DemoOptions:
    """The options as parsed."""
    ports = {port.name: getattr(arguments, f"{port.name}_port") for port in PORTS}
    return DemoOptions(directory=arguments.dir.resolve(), ports=ports, run_for_s=arguments.run_for)


def port_complaint(ports: Mapping[str, int]) -> str | None:
    """One sentence about the first port that can't be used, with the remedy; None when all are free."""
    seen: dict[int, Port] = {}
    for port in PORTS:
        number = ports[port.name]
        if number in seen:
            return f"Port {number} is given twice, for {seen[number].option} and {port.option}: choose another for one of them."
        if not _is_free(number):
            return f"Port {number} ({port.help}) is in use by another program: end that program, or choose another port with {port.option}."
        seen[number] = port
    return None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _duration(written: str) -> float:
    try:
        return parse_duration(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _port(written: str) -> int:
    if not written.isdecimal() or not 1 <= int(written) <= 65535:
        raise argparse.ArgumentTypeError(f"{written!r} is not a port; give a number from 1 to 65535")
    return int(written)
