"""http: the target answers a GET request with the right status and, where asked for, the right body.

Connections are made here, phase by phase; `http.client` only speaks over them. It imports `ssl`, so this module is imported only where an http
probe is configured. Proxies of the environment are not used: a probe measures the way to the target.
"""

import http.client
import io
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import watchdesk_agent
from watchdesk_agent.probes.attempt import Attempt, Phase, ProbeFailure
from watchdesk_agent.probes.config import ProbeConfig
from watchdesk_agent.probes.connect import connect
from watchdesk_agent.probes.target import Url, parse_redirect, parse_url
from watchdesk_agent.probes.tls import TlsConnector

_MAX_REDIRECTS = 5
_MAX_BODY_BYTES = 1 << 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHOWN_BYTES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; `body` is empty unless there is a condition on it."""

    status: int
    location: str | None
    body: str


def judge(probe: ProbeConfig, answer: Answer) -> str | None:
    """What is wrong with an answer; None when it is as it should be."""
    expected = answer.status in probe.status if probe.status else 200 <= answer.status < 300
    if not expected:
        return _describe_status(probe, answer)
    if probe.contains is not None and probe.contains not in answer.body:
        return f"the body does not contain {probe.contains!r}; it begins with {answer.body[:_SHOWN_BYTES]!r}"
    if probe.matches is not None and not re.search(probe.matches, answer.body):
        return f"the body does not match {probe.matches!r}; it begins with {answer.body[:_SHOWN_BYTES]!r}"
    return None


def _describe_status(probe: ProbeConfig, answer: Answer) -> str:
    expected = ", ".join(map(str, probe.status)) or "2xx"
    problem = f"status {answer.status} instead of {expected}"
    return f"{problem}; it redirects to {answer.location} (see follow_redirects)" if answer.location and not probe.follow_redirects else problem


class HttpProber:
    """Asks, follows where it may, and judges the last answer."""

    def __init__(self, probe: ProbeConfig) -> None:
        self._probe = probe
        self._url = parse_url(probe.target)
        self._tls = TlsConnector(verify=probe.verify, ca_file=probe.ca_file)

    def attempt(self, attempt: Attempt) -> None:
        answer = self._ask(self._url, attempt)
        problem = judge(self._probe, answer)
        if problem:
            raise ProbeFailure(problem)

    def _ask(self, url: Url, attempt: Attempt) -> Answer:
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._request(url, attempt)
            attempt.status_code = answer.status
            if not self._probe.follow_redirects or answer.status not in _REDIRECTS or answer.location is None:
                return answer
            try:
                url = parse_redirect(url, answer.location)
            except ValueError as error:
                raise ProbeFailure(f"it redirects to a place that {error}") from error
        raise ProbeFailure(f"it redirects more than {_MAX_REDIRECTS} times")

    def _request(self, url: Url, attempt: Attempt) -> Answer:
        connection = self._tls.connect(url.address, attempt) if url.is_tls else connect(url.address, attempt)
        with connection:
            response = _send(url, self._headers(url), connection, attempt)
            return Answer(status=response.status, location=response.getheader("Location"), body=self._read_body(response, attempt))

    def _headers(self, url: Url) -> Mapping[str, str]:
        own = {"Host": url.host_header, "User-Agent": f"watchdesk-agent/{watchdesk_agent.__version__}", "Accept": "*/*", "Connection": "close"}
        is_ours = (url.address, url.is_tls) == (self._url.address, self._url.is_tls)
        return own | dict(self._probe.headers) if is_ours else own

    def _read_body(self, response: http.client.HTTPResponse, attempt: Attempt) -> str:
        """Nothing without a condition on it: an endless stream is a good answer, too."""
        if self._probe.contains is None and self._probe.matches is None:
            return ""
        with attempt.phase(Phase.BODY), _in_http():
            body = response.read(_MAX_BODY_BYTES)
        return _decode(body, response.headers.get_content_charset("utf-8"))


def _send(url: Url, headers: Mapping[str, str], connection: socket.socket, attempt: Attempt) -> http.client.HTTPResponse:
    """The answer's head."""
    exchange = http.client.HTTPConnection(url.address.host, url.address.port)
    exchange.sock = _TimedSocket(connection, attempt.remaining_s)  # http.client needs no more of a socket than this has
    with attempt.phase(Phase.FIRST_BYTE), _in_http():
        exchange.request("GET", url.path, headers=dict(headers))
        return exchange.getresponse()


@contextmanager
def _in_http() -> Iterator[None]:
    """What `http.client` says about an answer that is none becomes a ProbeFailure."""
    try:
        yield
    except http.client.RemoteDisconnected as error:
        raise ProbeFailure("the server hung up without an answer") from error
    except http.client.HTTPException as error:
        raise ProbeFailure(f"the answer is not HTTP: {error or type(error).__name__}") from error


def _decode(body: bytes, charset: str) -> str:
    """As the server says, or as UTF-8 where it says nonsense; what cannot be decoded becomes U+FFFD."""
    try:
        return body.decode(charset, "replace")
    except (LookupError, UnicodeError):
        return body.decode("utf-8", "replace")


class _TimedSocket:
    """A socket to which each operation is given what is left of the attempt's time, so that a server that drips bytes cannot prolong it."""

    def __init__(self, connection: socket.socket, remaining_s: Callable[[], float]) -> None:
        self._connection = connection
        self._remaining_s = remaining_s

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._remaining_s())
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._connection, self._remaining_s))

    def close(self) -> None:
        """Nothing: `http.client` calls it once it has the head, but the body is still to be read. Who made the connection closes it."""


class _TimedReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, remaining_s: Callable[[], float]) -> None:
        super().__init__()
        self._connection = connection
        self._remaining_s = remaining_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._remaining_s())
        return self._connection.recv_into(buffer)
