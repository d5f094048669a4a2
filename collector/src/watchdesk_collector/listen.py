"""Where the collector listens: addresses as they stand in the configuration, and the one rule about them.

Invariant: what other machines can reach has TLS or a login, or the collector does not start.
"""

import ipaddress


class ListenError(Exception):
    """An endpoint cannot be opened; the message names the key, the address and the remedy."""


def parse_listen(listen: str) -> tuple[str, int]:
    """Address and port of "127.0.0.1:9780", "[::1]:9780" or "localhost:9780"; ValueError otherwise."""
    address, colon, port = listen.rpartition(":")
    if not colon or not address or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f'{listen!r} is not an address with a port; write it like "127.0.0.1:9780"')
    return address.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach it. A name other than localhost may resolve to anything, so it is not."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
