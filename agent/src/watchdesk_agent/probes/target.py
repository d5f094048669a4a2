"""What a probe's target says: a host and a port, or a URL. Pure: nothing is looked up here."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_KEPT_IN_PATHS = "%/:=&?~#+!$,;'@()*[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to connect to. `host` is ASCII: a name or an address without brackets."""

    host: str
    port: int

    @property
    def is_literal(self) -> bool:
        """Whether the host is an address, so that no name has to be looked up."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """Where to connect to, whether with TLS, and what to ask for."""

    address: Address
    is_tls: bool
    path: str

    @property
    def host_header(self) -> str:
        """The port is left out when it is the scheme's own (RFC 9110, 7.2)."""
        default = _DEFAULT_PORTS["https" if self.is_tls else "http"]
        written = str(self.address)
        return written.removesuffix(f":{default}") if self.address.port == default else written

    def __str__(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.host_header}{self.path}"


def parse_address(written: str) -> Address:
    """What "host:port" or "[address]:port" says. **Errors**: ValueError that goes on after the key's name."""
    host, _, port = written.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or "/" in written:
        raise ValueError(f'is {written!r}; write it like "db.example:5432" or "[2001:db8::1]:22"')
    if not 0 < int(port) <= _HIGHEST_PORT:
        raise ValueError(f"has the port {port}; ports go from 1 to {_HIGHEST_PORT}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f'is {written!r}; an IPv6 address stands in brackets, like "[2001:db8::1]:22"')
    return Address(host=_ascii_host(host.strip("[]")), port=int(port))


def parse_url(written: str) -> Url:
    """An absolute http or https URL. **Errors**: ValueError that goes on after the key's name."""
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is {written!r}, which is no URL: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f'is {written!r}; write it like "https://shop.example/health"')
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or password in it, which everybody would see; send headers = { Authorization = … } instead")
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_KEPT_IN_PATHS)
    address = Address(host=_ascii_host(parts.hostname), port=port or _DEFAULT_PORTS[parts.scheme])
    return Url(address=address, is_tls=parts.scheme == "https", path=path)


def parse_redirect(base: Url, location: str) -> Url:
    """Where a `Location` header leads. **Errors**: ValueError as `parse_url`."""
    return parse_url(urljoin(str(base), location.strip()))


def _ascii_host(host: str) -> str:
    """As the DNS knows it: the resolver cannot be asked for a name that has no such form."""
    try:
        ascii_host = host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"has the host {host!r}, which cannot be a name: {error}") from error
    if not _HOST.fullmatch(ascii_host):
        raise ValueError(f"has the host {host!r}, which cannot be a name")
    return ascii_host
