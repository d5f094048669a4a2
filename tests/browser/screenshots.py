"""Pictures of the status page and of a host's page, light and dark, wide and narrow: `python tests/browser/screenshots.py URL HOST [FOLDER]`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

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
DEFAULT_FOLDER = Path(__file__).parents[2] / "docs" / "img"


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture to take."""

    page: str
    width: int
    scheme: Literal["light", "dark"]

    @property
    def file_name(self) -> str:
        return f"{self.page}-{self.width}-{self.scheme}.png"


SHOTS = tuple(Shot(page=page, width=width, scheme=scheme) for page in ("status", "host") for width in (1280, 390) for scheme in ("light", "dark"))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where the collector serves, such as http://127.0.0.1:9780")
    parser.add_argument("host", help="whose page is pictured")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER, help="default: docs/img")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    addresses = {"status": options.url, "host": f"{options.url}/hosts/{quote(options.host, safe='')}"}
    with chromium() as browser:
        for shot in SHOTS:
            take(browser, shot, addresses[shot.page], options.folder / shot.file_name)
            print(options.folder / shot.file_name)
    return 0


def take(browser: Browser, shot: Shot, address: str, path: Path) -> None:
    """The whole page, once its charts are drawn; phones at twice the pixels, as they have."""
    scale = 2 if shot.width < 500 else 1
    context = browser.new_context(viewport={"width": shot.width, "height": 860}, color_scheme=shot.scheme, device_scale_factor=scale)
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
