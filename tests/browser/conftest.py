from collections.abc import Iterator

import pytest
from browser.screenshots import CHROMIUM, chromium
from collector.web.conftest import CONFIG
from collector.web.serving import opened_stores, serving_beside
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Gone with its module: while Playwright's own event loop runs in this thread, no other test can run one."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the made-up company's collector serves; tests only look at it."""
    with opened_stores(tmp_path_factory.mktemp("company")) as stores, serving_beside(stores, CONFIG) as served:
        yield served
