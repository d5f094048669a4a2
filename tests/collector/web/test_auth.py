import stat
from pathlib import Path

import aiohttp
import pytest
from collector.web.serving import TOKEN
from watchdesk_collector.tokens import TokenError, ensure_token
from watchdesk_collector.web.config import WebConfig
from watchdesk_proto.settings import ConfigError, parse


def test_the_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "api.token"
    token = ensure_token(path)
    assert len(token) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_token(path) == token


def test_an_empty_token_file_is_refused_instead_of_letting_everybody_in(tmp_path: Path) -> None:
    path = tmp_path / "api.token"
    path.touch()
    with pytest.raises(TokenError, match="is empty; delete it"):
        ensure_token(path)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer välkommen"])
async def test_without_the_token_nothing_is_answered(web: aiohttp.ClientSession, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with web.get("/api/v1/silences", headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "api.token" in (await answer.json())["error"]["message"]


async def test_with_the_token_it_is(web: aiohttp.ClientSession) -> None:
    async with web.get("/api/v1/silences", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("listen", ["0.0.0.0:9780", "[::]:9780", "192.168.1.5:9780", "watch.example.org:80"])
def test_pages_are_not_served_to_other_machines_before_there_are_logins(listen: str) -> None:
    with pytest.raises(ConfigError, match="which other machines can reach, and the pages have no logins"):
        parse(f'listen = "{listen}"', WebConfig, path=Path("collector.toml"))


@pytest.mark.parametrize("listen", ["127.0.0.1:9780", "[::1]:0", "localhost:80", "127.8.8.8:9780"])
def test_every_loopback_address_will_do(listen: str) -> None:
    assert parse(f'listen = "{listen}"', WebConfig, path=Path("collector.toml")).listen == listen


def test_an_address_without_a_port_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r'collector.toml:1: listen is wrong: .* write it like "127.0.0.1:9780"'):
        parse('listen = "127.0.0.1"', WebConfig, path=Path("collector.toml"))
