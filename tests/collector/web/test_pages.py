import asyncio
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from collector.web.conftest import CONFIG
from collector.web.serving import Stores, deps_of, serving
from watchdesk_collector.listen import ListenError
from watchdesk_collector.web.routes import ROUTES
from watchdesk_collector.web.server import WebServer

HTTP_DOCUMENT = Path(__file__).parents[3] / "docs" / "http.md"


def documented_addresses() -> list[tuple[str, str, str]]:
    """Method, path, and "key" when the token is needed."""
    return re.findall(r"^\| `(GET|POST|DELETE) ([^`]+)` \| (key)? ?\|", HTTP_DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)


async def text_of(web: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with web.get(path) as answer:
        assert answer.status == status
        return await answer.text()


async def test_the_status_page_puts_problems_first_and_says_them_in_words(web: aiohttp.ClientSession) -> None:
    page = await text_of(web, "/")
    assert "4 of 12 hosts need attention" in page
    assert "2 critical, 1 silent, 1 warning, 1 probe down" in page
    rows = re.findall(r'<tr id="host-([\w-]+)" class="is-(\w+)">', page)
    assert rows[:5] == [("backup", "critical"), ("web-1", "critical"), ("vpn", "silent"), ("mail", "warning"), ("build-1", "up")]
    assert len(rows) == 12
    assert "/srv/backup is 96 % full; 18.5 GiB are left" in page


async def test_the_status_page_needs_no_script_and_has_none_inline(web: aiohttp.ClientSession) -> None:
    for path in ("/", "/hosts/web-1", "/nowhere"):
        async with web.get(path) as answer:
            page = await answer.text()
            assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=|javascript:", page)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


async def test_a_host_page_draws_every_panel_over_each_range(web: aiohttp.ClientSession) -> None:
    for id in ("1h", "6h", "24h", "7d", "30d"):
        page = await text_of(web, f"/hosts/db-1?range={id}")
        panels = ["cpu", "memory", "load", "disk", "disk_io", "disk_busy", "network", "pressure", "probe"]
        assert re.findall(r'data-chart="(\w+)"', page) == panels
        assert f'<a href="?range={id}" aria-current="page"' in page


async def test_a_host_page_shows_facts_alerts_probes_and_log_errors(web: aiohttp.ClientSession) -> None:
    page = await text_of(web, "/hosts/web-1")
    for shown in ("Debian GNU/Linux 12 (bookworm)", "6.1.0-39-amd64 x86_64", "41 d 4 h", "probe-down", "HTTP status 502", "payment gateway closed"):
        assert shown in page


async def test_a_clock_that_is_off_is_told_on_both_pages(company: Stores) -> None:
    host = company.hosts.by_name("build-1")
    assert host is not None
    company.hosts.note_clock(host.host_id, 75.0)
    async with serving(company, CONFIG) as address, aiohttp.ClientSession(address) as web:
        assert "clock 1 min 15 s ahead" in (await text_of(web, "/")).split('id="host-build-1"')[1].split("</tr>")[0]
        assert "clock 1 min 15 s ahead" in await text_of(web, "/hosts/build-1")
        async with web.get("/api/v1/hosts") as answer:
            told = {one["host"]: (one["clock_is_off"], one["clock_offset_seconds"]) for one in (await answer.json())["hosts"]}
    assert told["build-1"] == (True, 75.0)
    company.hosts.note_clock(host.host_id, 0.0)
    assert not told["web-1"][0]


async def test_a_gap_in_the_samples_is_a_gap_in_the_line(web: aiohttp.ClientSession) -> None:
    page = await text_of(web, "/hosts/db-2?range=1h")
    [load] = re.findall(r'<path class="line s0" d="([^"]+)"', page.split('data-chart="load"')[1].split("</figure>")[0])
    assert load.count("M") == 2


async def test_the_fragments_are_the_pages_without_their_frame(web: aiohttp.ClientSession) -> None:
    page, fragment = await text_of(web, "/"), await text_of(web, "/fragments/status")
    assert fragment in page
    host = await text_of(web, "/hosts/web-1/fragment")
    assert re.findall(r'data-part="(\w+)"', host) == ["top", "bottom"]
    assert "<html" not in host


async def test_names_that_hosts_give_themselves_are_escaped(web: aiohttp.ClientSession) -> None:
    page = await text_of(web, "/hosts/<script>alert(1)</script>", status=404)
    assert "<script>alert" not in page


async def test_without_a_host_the_page_says_how_to_connect_one(nobody: Stores) -> None:
    async with serving(nobody, CONFIG) as address, aiohttp.ClientSession(address) as web:
        page = await text_of(web, "/")
    assert "No host yet" in page
    assert "watchdesk-agent run" in page
    assert "agent.token" in page


async def test_errors_are_pages_for_people_and_json_for_programs(web: aiohttp.ClientSession) -> None:
    assert "No host is called" in await text_of(web, "/hosts/nobody", status=404)
    assert "<h1>There is nothing here</h1>" in await text_of(web, "/nowhere", status=404)
    async with web.get("/api/v1/nowhere") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": {"message": "No page has this address."}})
    async with web.get("/api/v1/hosts/web-1/series?range=1y") as answer:
        assert (answer.status, await answer.json()) == (400, {"error": {"message": "range must be one of 1h, 6h, 24h, 7d, 30d, not '1y'."}})
    async with web.post("/") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_every_answer_carries_the_security_headers(web: aiohttp.ClientSession) -> None:
    for path in ("/", "/nowhere", "/api/v1/hosts", "/healthz", "/metrics", "/events", "/static/watchdesk.css"):
        async with web.get(path) as answer:
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "Server" not in answer.headers


async def test_a_foreign_name_or_origin_is_refused(web: aiohttp.ClientSession) -> None:
    async with web.get("/", headers={"Host": "evil.example.net:9780"}) as answer:
        assert answer.status == 421
    for name in ("localhost:9780", "watch.example.org", "WATCH.example.org:443", "127.0.0.1"):
        async with web.get("/healthz", headers={"Host": name}) as answer:
            assert answer.status == 200
    for origin, status in (("https://evil.example.net", 403), ("null", 403), ("https://watch.example.org", 405)):
        async with web.post("/", headers={"Origin": origin}) as answer:
            assert answer.status == status


async def test_a_host_header_that_is_not_a_host_is_refused(web: aiohttp.ClientSession) -> None:
    async with web.get("/", headers={"Host": "[127.0.0.1"}) as answer:
        assert answer.status == 421


async def test_static_files_are_kept_by_their_content_and_nothing_else_is_served(web: aiohttp.ClientSession) -> None:
    [css] = re.findall(r'href="(/static/watchdesk\.css\?v=\w+)"', await text_of(web, "/"))
    async with web.get(css) as answer:
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.content_type == "text/css"
    async with web.get("/static/watchdesk.css?v=old") as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
    await text_of(web, "/static/..%2Fauth.py", status=404)


async def test_the_series_hold_what_the_charts_draw(web: aiohttp.ClientSession) -> None:
    async with web.get("/api/v1/hosts/db-2/series?range=1h") as answer:
        body = await answer.json()
    cpu = body["charts"][0]
    assert [one["name"] for one in cpu["series"]] == ["user", "system", "interrupts", "waiting for I/O", "busiest moment"]
    assert {len(one["values"]) for one in cpu["series"]} == {360} == {len(cpu["times"])}
    assert 115 <= cpu["series"][0]["values"].count(None) <= 125  # twenty minutes away, in slots of 10 s
    assert all(value is None or 0 <= value <= 1 for one in cpu["series"] for value in one["values"])


async def test_hosts_and_alerts_are_told_as_json(web: aiohttp.ClientSession) -> None:
    async with web.get("/api/v1/hosts") as answer:
        hosts = (await answer.json())["hosts"]
    assert [(host["host"], host["state"]) for host in hosts[:3]] == [("backup", "critical"), ("web-1", "critical"), ("vpn", "silent")]
    assert hosts[0]["disk_used_ratio"] == pytest.approx(0.963, abs=0.001)
    assert hosts[2]["last_seen_at"] == "2026-11-20T13:37:05Z"
    async with web.get("/api/v1/alerts") as answer:
        alerts = await answer.json()
    assert [alert["rule"] for alert in alerts["firing"]] == ["probe-down", "host-silent", "disk-nearly-full", "io-stalls"]
    assert [alert["state"] for alert in alerts["recent"]] == ["resolved", "resolved"]


async def test_health_tells_the_age_of_the_last_commit(web: aiohttp.ClientSession) -> None:
    async with web.get("/healthz") as answer:
        assert answer.status == 200
        assert await answer.json() == {
            "ok": True,
            "version": "0.1.0",
            "uptime_seconds": 0.0,
            "history": {"ok": True, "error": None, "last_commit_age_seconds": 2.0},
            "ingest": {"ok": True, "error": None},
            "ops": {"ok": True, "error": None},
        }


async def test_a_history_that_fails_is_unhealthy_and_told_on_the_page(nobody: Stores) -> None:
    async with serving(nobody, CONFIG) as address, aiohttp.ClientSession(address) as web:
        nobody.history.close()
        async with web.get("/healthz") as answer:
            assert answer.status == 503
            assert (await answer.json())["history"]["ok"] is False
        assert "History cannot be read" in await text_of(web, "/")


async def test_samples_that_cannot_be_stored_are_unhealthy_and_told_on_the_page(nobody: Stores) -> None:
    nobody.ailments.append("the disk is full")
    async with serving(nobody, CONFIG) as address, aiohttp.ClientSession(address) as web:
        async with web.get("/healthz") as answer:
            assert (answer.status, (await answer.json())["ingest"]) == (503, {"ok": False, "error": "the disk is full"})
        assert "New samples are not being stored: the disk is full" in await text_of(web, "/")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool: apt-get install prometheus")
async def test_the_metrics_are_clean_under_promtool(web: aiohttp.ClientSession) -> None:
    await text_of(web, "/")
    metrics = await text_of(web, "/metrics")
    checked = await asyncio.to_thread(subprocess.run, ["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


async def test_a_busy_port_is_one_sentence(company: Stores) -> None:
    async with serving(company, CONFIG) as address:
        listen = address.removeprefix("http://")
        with pytest.raises(ListenError, match=f"web.listen: {listen} is in use"):
            await WebServer(deps=deps_of(company, replace(CONFIG, listen=listen))).start()


def test_the_documentation_names_every_address() -> None:
    assert [(method, path) for method, path, _ in documented_addresses()] == [(route.method, route.path.replace(":.+", "")) for route in ROUTES]


async def test_the_addresses_that_need_the_token_are_the_documented_ones(web: aiohttp.ClientSession) -> None:
    for method, path, key in documented_addresses():
        async with web.request(method, re.sub(r"{\w+}", "1", path)) as answer:
            assert (answer.status == 401) == bool(key), path
