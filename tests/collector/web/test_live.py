import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import pytest
from collector.web.conftest import CONFIG
from collector.web.serving import Stores, serving
from watchdesk_collector.ops.hosts import Introduction

QUICK = replace(CONFIG, refresh_interval=0.02)


def connect_host(stores: Stores, name: str) -> None:
    stores.hosts.introduce(Introduction(agent_id=f"agent-of-{name}", name=name, boot_id="boot", agent_version="0.1.0", clock_offset_s=0.0))


@asynccontextmanager
async def listening(web: aiohttp.ClientSession) -> AsyncIterator[aiohttp.StreamReader]:
    async with web.get("/events") as answer:
        assert answer.content_type == "text/event-stream"
        yield answer.content


async def next_version(events: aiohttp.StreamReader) -> str:
    async with asyncio.timeout(10):
        while True:
            line = (await events.readline()).decode().strip()
            if line.startswith("data: "):
                return line.removeprefix("data: ")


async def test_an_open_page_is_told_at_once_and_when_something_changed(nobody: Stores) -> None:
    async with serving(nobody, QUICK) as address, aiohttp.ClientSession(address) as web, listening(web) as events:
        before = await next_version(events)
        connect_host(nobody, "web-1")
        nobody.clock.advance(1)
        after = await next_version(events)
        assert after != before
        async with web.get("/fragments/status") as answer:
            assert answer.headers["X-Version"] == after
            assert "web-1" in await answer.text()


async def test_nothing_is_read_while_nobody_looks(nobody: Stores) -> None:
    async with serving(nobody, QUICK) as address, aiohttp.ClientSession(address) as web:
        async with listening(web) as events:
            await next_version(events)
        async with web.get("/api/v1/hosts"):
            pass
        connect_host(nobody, "web-1")
        async with web.get("/api/v1/hosts") as answer:  # within the refresh interval of a clock that stands still
            assert (await answer.json())["hosts"] == []


async def test_there_is_an_end_to_how_many_pages_are_told(nobody: Stores) -> None:
    async with serving(nobody, replace(QUICK, max_event_streams=1)) as address, aiohttp.ClientSession(address) as web, listening(web) as events:
        await next_version(events)
        async with web.get("/events") as answer:
            assert answer.status == 503
            assert "reload this one by hand" in await answer.text()


async def test_a_client_that_stops_reading_is_cut(nobody: Stores) -> None:
    """It is told of changes until the few kilobytes of buffers are full; then its stream ends, and others go on."""
    async with serving(nobody, QUICK) as address, aiohttp.ClientSession(address) as web:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        parts = urlsplit(address)
        deaf.connect((parts.hostname, parts.port))
        deaf.sendall(f"GET /events HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        async with asyncio.timeout(60), listening(web) as events:
            await next_version(events)
            assert await streams_open(web) == 2
            while await streams_open(web) == 2:
                nobody.clock.advance(1)
                await next_version(events)
        deaf.close()


async def test_the_collector_stops_although_pages_are_open(nobody: Stores) -> None:
    async with aiohttp.ClientSession() as session:
        async with asyncio.timeout(10):
            async with serving(nobody, QUICK) as address:
                answer = await session.get(f"{address}/events")
                await next_version(answer.content)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()


async def streams_open(web: aiohttp.ClientSession) -> int:
    async with web.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return round(float(next(line.split()[1] for line in lines if line.startswith("watchdesk_web_event_streams "))))
