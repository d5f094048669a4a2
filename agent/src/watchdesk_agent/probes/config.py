"""`[[probe]]`: what an agent tries to reach, how, and what counts as an answer."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from watchdesk_proto.settings import Form, setting

from watchdesk_agent.probes.target import parse_address, parse_url


class ProbeKind(StrEnum):
    """How a probe tries."""

    TCP = "tcp"
    HTTP = "http"


_HTTP_ONLY = ("status", "contains", "matches", "follow_redirects", "verify", "ca_file", "headers")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1


def _check_name(name: str) -> str | None:
    return None if 0 < len(name) <= 100 else "must have between 1 and 100 characters"


def _check_interval(interval_s: float) -> str | None:
    return None if interval_s >= 1 else "must be at least 1s"


def _check_timeout(timeout_s: float) -> str | None:
    return None if timeout_s > 0 else "must be more than 0s"


def _check_pattern(pattern: str | None) -> str | None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        return f"is not a regular expression of Python: {error}"
    return None


def _check_headers(headers: dict[str, str]) -> str | None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            return f"has {name!r}, which cannot be the name of a header"
        if not value.isascii() or not value.isprintable():
            return f"has a value for {name!r} that is more than one line of ASCII text"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """One probe. Every attempt is one row of the measurement `probe`."""

    name: str = setting(help="What pages, rules and messages call it; unique on the host.", check=_check_name, example='"shop"')
    kind: ProbeKind = setting(help="tcp: the target accepts a connection. http: it answers a GET request as it should.", example='"http"')
    target: str = setting(help="host:port for tcp, a URL for http; https:// for TLS.", example='"https://shop.example/health"')
    interval: float = setting("30s", form=Form.DURATION, check=_check_interval, help="How often it is tried.")
    timeout: float = setting("10s", form=Form.DURATION, check=_check_timeout, help="How long a whole attempt may take; not longer than interval.")
    status: tuple[int, ...] = setting((), help="HTTP statuses that count as success. Default: every 2xx.", example="[200, 401]")
    contains: str | None = setting(None, help="Text that the first MiB of the answer's body must hold.", example='"ready"')
    matches: str | None = setting(
        None,
        check=_check_pattern,
        help="Python regular expression that must match somewhere in the first MiB of the answer's body.",
        example='"^ok$"',
    )
    follow_redirects: bool = setting(False, help="Follow up to 5 redirects and judge the last answer; off, so that a new redirect is noticed.")
    verify: bool = setting(True, help="Refuse certificates that are expired, for another host, or of an unknown authority.")
    ca_file: Path | None = setting(None, help="PEM file of the authorities to trust instead of the system's.", example='"/etc/ssl/own-ca.pem"')
    headers: dict[str, str] = setting(
        dict, check=_check_headers, help="Headers to send; not sent on to another host by a redirect.", example='{ Authorization = "Bearer …" }'
    )

    def problems(self) -> Iterable[tuple[str, str]]:
        """What does not fit together: key and complaint."""
        if self.timeout > self.interval:
            yield "timeout", f"must not be longer than interval ({self.interval:g}s), or attempts would overtake each other"
        try:
            (parse_address if self.kind is ProbeKind.TCP else parse_url)(self.target)
        except ValueError as error:
            yield "target", str(error)
        if self.kind is not ProbeKind.HTTP:
            for key in self._changed(_HTTP_ONLY):
                yield key, 'is only for kind = "http"; remove it'

    def _changed(self, keys: Iterable[str]) -> Iterable[str]:
        plain = type(self)(name=self.name, kind=self.kind, target=self.target)
        return (key for key in keys if getattr(self, key) != getattr(plain, key))


def check_probes(probes: Sequence[ProbeConfig]) -> str | None:
    """What is wrong with the probes as a whole: a name is what tells their rows apart."""
    twice = sorted(name for name, count in Counter(probe.name for probe in probes).items() if count > 1)
    return f"has more than one probe called {', '.join(map(repr, twice))}; give each its own name" if twice else None
