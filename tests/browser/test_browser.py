"""The pages in a real browser: without scripts, with them, narrow and wide."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from collector.web.conftest import CONFIG
from collector.web.seed import MACHINES
from collector.web.serving import opened_stores, serving_beside
from playwright.sync_api import Browser, Page, expect
from watchdesk_collector.ops.hosts import Introduction

pytestmark = pytest.mark.browser

PAGES = ("/", "/hosts/web-1", "/hosts/vpn?range=30d", "/nowhere")


@contextmanager
def opened_page(browser: Browser, *, width: int = 1280, **options: Any) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width, "height": 860}, **options)
    try:
        yield context.new_page()
    finally:
        context.close()


def test_without_javascript_everything_is_there(browser: Browser, address: str) -> None:
    with opened_page(browser, java_script_enabled=False) as page:
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_have_text("4 of 12 hosts need attention")
        expect(page.locator("#hosts tbody tr")).to_have_count(12)
        page.get_by_role("link", name="db-1").first.click()
        expect(page.locator("figure svg")).to_have_count(9)
        for picture in page.locator("figure svg").all():
            box = picture.bounding_box()
            assert box is not None
            assert box["height"] > 100
            assert box["width"] > 300
        expect(page.locator("#live")).to_be_hidden()
        page.get_by_role("link", name="7d").click()
        expect(page.locator("figure svg")).to_have_count(9)


def test_with_javascript_charts_answer_to_the_pointer(browser: Browser, address: str) -> None:
    with opened_page(browser) as page:
        page.goto(f"{address}/hosts/db-1")
        expect(page.locator("figure.is-drawn canvas")).to_have_count(9)
        expect(page.locator("figure svg").first).to_be_hidden()
        memory = page.locator('[data-chart="memory"]')
        before = memory.locator(".legend").inner_text()
        page.locator('[data-chart="cpu"] .u-over').hover(position={"x": 20, "y": 40})
        expect(memory.locator(".legend")).not_to_have_text(before, use_inner_text=True)  # the charts share one pointer


def test_a_gap_is_shaded_and_tells_its_cause_without_javascript(browser: Browser, address: str) -> None:
    with opened_page(browser, java_script_enabled=False) as page:
        page.goto(f"{address}/hosts/web-1")
        expect(page.locator("figure rect.gap")).to_have_count(8)  # of all charts but that of the probes
        cpu = page.locator('[data-chart="cpu"]')
        expect(cpu.locator("rect.gap title")).to_have_text("no samples 13:24–13:28: the agent was not running")
        expect(cpu.locator(".gap-words")).to_be_visible()
        expect(page.locator("#gaps li").first).to_contain_text("no samples 13:24–13:28: the agent was not running")


def test_a_legend_tells_of_the_gap_below_the_pointer(browser: Browser, address: str) -> None:
    with opened_page(browser) as page:
        page.goto(f"{address}/hosts/web-1?range=24h")
        words = page.locator('[data-chart="disk"] .gap-words')
        expect(words).to_have_text("no samples 13:24–13:28: the agent was not running, and 1 more gap")
        over = page.locator('[data-chart="disk"] .u-over')
        box = over.bounding_box()
        assert box is not None
        over.hover(position={"x": box["width"] * (17.25 / 24), "y": 40})
        expect(words).to_have_text("no samples 07:02–07:32: the agent did not get to it in time")


def test_an_open_page_follows_without_being_loaded_again(browser: Browser, tmp_path: Path) -> None:
    quick = replace(CONFIG, refresh_interval=0.05)
    with opened_stores(tmp_path, machines=MACHINES[:2]) as stores, serving_beside(stores, quick) as address, opened_page(browser) as page:
        page.goto(address)
        expect(page.locator("#live")).to_have_text("live")
        page.evaluate("window.isTheSamePage = true")
        page.get_by_role("link", name="web-2").focus()
        stores.hosts.introduce(Introduction(agent_id="new", name="a-new-host", boot_id="boot", agent_version="0.1.0", clock_offset_s=0.0))
        stores.clock.advance(1)
        expect(page.locator("#host-a-new-host")).to_be_visible()
        assert page.evaluate("window.isTheSamePage") is True
        assert page.evaluate("document.activeElement.textContent") == "web-2"


@pytest.mark.parametrize("scripted", [True, False])
@pytest.mark.parametrize("path", PAGES)
def test_a_phone_never_scrolls_sideways(browser: Browser, address: str, path: str, scripted: bool) -> None:
    with opened_page(browser, width=390, java_script_enabled=scripted) as page:
        page.goto(address + path)
        if scripted:
            page.wait_for_load_state("networkidle") if path == "/nowhere" else page.locator("#live.is-live").wait_for()
        session = page.context.new_cdp_session(page)
        sizes = session.send("Page.getLayoutMetrics")
        assert sizes["cssContentSize"]["width"] <= 390


@pytest.mark.parametrize("path", PAGES)
def test_pages_keep_to_their_own_policy_and_ask_nobody_else(browser: Browser, address: str, path: str) -> None:
    with opened_page(browser) as page:
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(error.message))
        page.goto(address + path)
        if path != "/nowhere":
            page.locator("#live.is-live").wait_for()
        assert all(url.startswith(f"{address}/") for url in asked)
        assert [complaint for complaint in complaints if "404" not in complaint] == []
