"""Tell systemd how the service is doing: READY, STATUS, WATCHDOG, STOPPING. Without systemd every call does nothing.

**Source**: sd_notify(3), the datagram protocol on $NOTIFY_SOCKET.
"""

import os
import socket


def notify(*states: str) -> None:
    """Send states such as "READY=1" or "STATUS=…"."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto("\n".join(states).encode(), address)


def watchdog_interval_s() -> float | None:
    """Half the time within which systemd wants a WATCHDOG=1, in seconds; None when it wants none."""
    usec = os.environ.get("WATCHDOG_USEC")
    return int(usec) / 2_000_000 if usec else None
