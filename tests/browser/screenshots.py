"""Pictures of the status page and of a host's page, light and dark, wide and narrow: `PYTHONPATH=tests .venv/bin/python -m browser.screenshots`."""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from collector.web.conftest import CONFIG
from collector.web.serving import opened_stores, serving_beside
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
# Nothing is looked up or updated in the background: pages are all that is asked of the network.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DEFAULT_FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture to take."""

    page: str
    width: int
    scheme: Literal["light", "dark"]

    @property
    def file_name(self) -> str:
        return f"{self.page}-{self.scheme}-{self.width}.png"


SHOTS = tuple(Shot(page=page, width=width, scheme=scheme) for page in ("status", "host") for width in (1280, 390) for scheme in ("light", "dark"))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="where a collector serves, such as http://127.0.0.1:9780; default: a collector of the made-up company")
    parser.add_argument("--host", default="web-1", help="whose page is pictured")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="default: docs/screenshots")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.nullcontext(options.url) if options.url else made_up_company() as url, chromium() as browser:
        addresses = {"status": url, "host": f"{url}/hosts/{quote(options.host, safe='')}"}
        for shot in SHOTS:
            take(browser, shot, addresses[shot.page], options.folder / shot.file_name)
            print(options.folder / shot.file_name)
    return 0


@contextmanager
def made_up_company() -> Iterator[str]:
    """The address of a collector that serves it."""
    with tempfile.TemporaryDirectory() as folder, opened_stores(Path(folder)) as stores, serving_beside(stores, CONFIG) as url:
        yield url


def take(browser: Browser, shot: Shot, address: str, path: Path) -> None:
    """The whole page, once its charts are drawn."""
    context = browser.new_context(viewport={"width": shot.width, "height": 860}, color_scheme=shot.scheme)
    page = context.new_page()
    page.goto(address)
    page.locator("#live.is-live").wait_for()
    if page.locator("[data-chart]").count():
        page.locator(".is-drawn").last.wait_for()
    page.screenshot(path=path, full_page=True)
    context.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
