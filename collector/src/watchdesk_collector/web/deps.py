"""What the handlers get: one frozen record under the application's key `DEPS`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
from aiohttp import web
from sqlalchemy import Engine
from watchdesk_proto.catalogue import Measurement

from watchdesk_collector.clock import Clock
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.ops.hosts import HostDirectory
from watchdesk_collector.web.config import WebConfig

if TYPE_CHECKING:
    from watchdesk_collector.sql.runner import SqlRunner


class HistoryReader(Protocol):
    """Trusted SELECTs over measurements, from any thread; each call blocks."""

    def query(
        self, sql: str, params: Sequence[object] = (), *, tables: Sequence[str], since: datetime | None = None, until: datetime | None = None
    ) -> pa.Table: ...

    def catalogue(self) -> Sequence[Measurement]: ...


class NotifyTest(Protocol):
    """Sends a test message to one receiver, or to all with None.

    **Shapes**: receiver name → None when it was delivered, else why not. **Errors**: KeyError for an unknown receiver.
    """

    async def __call__(self, receiver: str | None) -> Mapping[str, str | None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDeps:
    """Everything that handlers use of the rest of the collector."""

    config: WebConfig
    clock: Clock
    history: HistoryReader
    ailment: Callable[[], str | None]  # why samples cannot be stored now, None when they can
    hosts: HostDirectory
    rules: Collection[str]  # names of those in force
    ops: Engine
    metrics: Metrics
    sql: "SqlRunner"
    api_token: str
    started_at: datetime
    notify_test: NotifyTest
    version: str


DEPS: web.AppKey[WebDeps] = web.AppKey("deps", WebDeps)
