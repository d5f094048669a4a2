"""Asks a running collector over HTTP, as any program would."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_TIMEOUT_S = 60.0  # a query has its own, shorter deadline


class CollectorApi:
    """One collector. Addresses of this machine are asked without a proxy."""

    def __init__(self, *, url: str, token_file: Path) -> None:
        self._url = url
        self._token_file = token_file
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def is_healthy(self) -> bool:
        try:
            return bool(self._ask("/healthz")["ok"])
        except (OSError, ValueError):
            return False

    def sql(self, query: str) -> list[list[Any]]:
        """Rows of a query. **Errors**: OSError when the collector is not there or refuses; its message says why."""
        return list(self._ask("/api/v1/sql", {"query": query, "format": "json"})["rows"])

    def number(self, query: str) -> int:
        """The one number that a query gives; 0 for null."""
        return int(self.sql(query)[0][0] or 0)

    def alerts(self) -> tuple[int, int]:
        """How many alerts fired, and how many of them are resolved."""
        answer = self._ask("/api/v1/alerts")
        firing, resolved = len(answer["firing"]), len(answer["recent"])
        return firing + resolved, resolved

    def _ask(self, path: str, body: object = None) -> Any:
        request = urllib.request.Request(self._url + path, headers={"Accept": "application/json"})  # noqa: S310 -- the URL is our own
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
            request.add_header("Authorization", f"Bearer {self._token_file.read_text(encoding='ascii').strip()}")
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise OSError(f"{path}: {error.code} {_reason(error.read())}") from error


def _reason(body: bytes) -> str:
    """The sentence in an answer of the API; the whole answer when it is none of ours."""
    text = body.decode(errors="replace")
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
