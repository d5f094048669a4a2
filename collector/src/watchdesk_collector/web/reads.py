"""Blocking reads for pages, on few threads of their own: a slow query delays other pages, never ingest or alerting."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

from watchdesk_collector.history import HistoryError

T = TypeVar("T")


class Reads:
    """Runs reads on at most `threads` threads; further ones wait in line.

    Each is given up after `timeout_s`, though its thread ends only with the read.
    """

    def __init__(self, *, threads: int, timeout_s: float) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="web-read")
        self._timeout_s = timeout_s

    async def run(self, read: Callable[..., T], *arguments: object) -> T:
        """**Errors**: HTTPServiceUnavailable (503) when it took too long, queueing included, or when history failed."""
        work = functools.partial(read, *arguments)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except TimeoutError:
            raise web.HTTPServiceUnavailable(
                text=f"History did not answer within {self._timeout_s:g} s; try a shorter range or again in a moment.", headers={"Retry-After": "10"}
            ) from None
        except HistoryError as error:
            raise web.HTTPServiceUnavailable(text=f"History cannot be read: {error}", headers={"Retry-After": "10"}) from error

    def close(self) -> None:
        """Waits for the reads that run."""
        self._executor.shutdown(wait=True, cancel_futures=True)


READS: web.AppKey[Reads] = web.AppKey("reads", Reads)
