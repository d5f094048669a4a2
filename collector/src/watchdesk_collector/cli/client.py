"""Asking a collector over HTTP; whatever goes wrong is said in one sentence that names the collector and the remedy."""

import argparse
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from watchdesk_collector.cli.errors import USAGE, CliError
from watchdesk_collector.cli.finding import Address, find

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One collector. Proxies are not asked: a collector is reached directly, or through a tunnel to this machine."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def get(self, path: str) -> Any:
        return self.ask("GET", path).json()

    def post(self, path: str, body: object, *, timeout_s: float = _TIMEOUT_S) -> Any:
        return self.ask("POST", path, body, timeout_s=timeout_s).json()

    def delete(self, path: str) -> Any:
        return self.ask("DELETE", path).json()

    def ask(self, method: str, path: str, body: object = None, *, timeout_s: float = _TIMEOUT_S) -> Answer:
        """An answer of status 2xx. **Errors**: CliError with what the collector says, or why it says nothing."""
        answer = self.send(method, path, body, timeout_s=timeout_s)
        if answer.status >= 300:
            raise CliError(self._refusal(answer))
        return answer

    def send(self, method: str, path: str, body: object = None, *, timeout_s: float = _TIMEOUT_S) -> Answer:
        """Any answer. **Errors**: CliError when there is none."""
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        connection = _connect(self._address.url, timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return Answer(status=response.status, headers={name.lower(): value for name, value in response.getheaders()}, body=response.read())
        except TimeoutError as error:
            raise CliError(f"the collector at {self._address.url} did not answer within {timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            remedy = "start one with `watchdesk-collector run` or `watchdesk demo`, or name another with --url"
            raise CliError(f"no collector answers at {self._address.url} ({_reason(error)}); {remedy}") from error
        finally:
            connection.close()

    def _token(self) -> str:
        """Empty when the file is not there: what needs no token is answered all the same."""
        try:
            return self._address.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def _refusal(self, answer: Answer) -> str:
        if answer.status == 401:
            return self._why_unauthorized()
        error = error_of(answer)
        return str(error.get("message", "")) or f"the collector at {self._address.url} answered with status {answer.status}"

    def _why_unauthorized(self) -> str:
        file = self._address.token_file
        try:
            file.read_text(encoding="ascii")
        except PermissionError:
            return f"the token file {file} may not be read by this user; run the command as root or as the collector's user, for example with sudo"
        except (OSError, UnicodeDecodeError) as error:
            return f"the token file {file} cannot be read ({_reason(error)}); name the collector's api.token with --token-file"
        return f"the collector at {self._address.url} does not take the token in {file}; name that collector's api.token with --token-file"


def client_of(arguments: argparse.Namespace) -> Client:
    """The client for the collector that the command line means."""
    return Client(find(arguments))


def error_of(answer: Answer) -> dict[str, Any]:
    """The `error` object of a refusal; empty when there is none."""
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {"message": str(error)}


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _connect(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise CliError(f"{url!r} is not a URL: {error}", USAGE) from error
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
