"""A collector to talk to, for tests of the uplink and of the whole agent."""

from collections.abc import Iterator

import pytest
import trustme
from agent.uplink.small_collector import SmallCollector


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def collector(authority: trustme.CA) -> Iterator[SmallCollector]:
    collector = SmallCollector(authority)
    collector.start()
    yield collector
    collector.stop()
