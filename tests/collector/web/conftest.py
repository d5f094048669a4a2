from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from collector.web.serving import Stores, opened_stores, serving
from watchdesk_collector.web.config import WebConfig

CONFIG = WebConfig(listen="127.0.0.1:0", hosts=("watch.example.org",))


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Twelve hosts with a month of samples; tests only read it."""
    with opened_stores(tmp_path_factory.mktemp("company")) as stores:
        yield stores


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Stores]:
    """A collector to which no host has connected."""
    with opened_stores(tmp_path, machines=()) as stores:
        yield stores


@pytest.fixture
async def web(company: Stores) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the company's collector."""
    async with serving(company, CONFIG) as address, aiohttp.ClientSession(address) as session:
        yield session
