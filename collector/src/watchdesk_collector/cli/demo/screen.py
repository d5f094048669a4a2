"""How the demo speaks: one line per step with the seconds since the start, and messages in a frame."""

import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from watchdesk_collector.cli.demo.sinks import Hook, Mail

_MAX_LINES = 28
_MAX_WIDTH = 116


class Screen:
    """Prints for one run; `started_at_s` is on the monotonic clock."""

    def __init__(self, *, to: TextIO = sys.stdout, started_at_s: float) -> None:
        self._to = to
        self._started_at_s = started_at_s

    def step(self, text: str) -> None:
        self._print(f"[{time.monotonic() - self._started_at_s:5.1f} s] {text}")

    def detail(self, text: str) -> None:
        self._print(f"          {text}")

    def mail(self, title: str, mail: Mail) -> None:
        headers = [f"{name}: {mail.message[name]}" for name in ("From", "To", "Subject") if mail.message[name]]
        self._frame(title, [*headers, "", *mail.text.splitlines()])

    def hook(self, title: str, hook: Hook) -> None:
        head = f"Idempotency-Key: {hook.idempotency_key}   signature verified"
        self._frame(title, [head, "", *json.dumps(_short(hook.body), indent=2, ensure_ascii=False).splitlines()])

    def _frame(self, title: str, lines: Iterable[str]) -> None:
        shown = [line if len(line) <= _MAX_WIDTH else line[: _MAX_WIDTH - 1] + "…" for line in trim(lines, _MAX_LINES)]
        self._print("")
        self._print(f"  ┌─ {title}")
        for line in shown:
            self._print(f"  │ {line}".rstrip())
        self._print("  └─")
        self._print("")

    def _print(self, text: str) -> None:
        print(text, file=self._to, flush=True)


def trim(lines: Iterable[str], limit: int) -> list[str]:
    """The first `limit` lines without blank lines at the end or twice in a row; what was cut is said."""
    kept: list[str] = []
    for line in (line.rstrip() for line in lines):
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    if len(kept) <= limit:
        return kept
    return [*kept[:limit], f"… {len(kept) - limit} more lines"]


def _short(value: Any) -> Any:
    """Without what is empty: a reader wants what happened."""
    if isinstance(value, Mapping):
        return {key: _short(item) for key, item in value.items() if item not in (None, "", [], {})}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return value
