import argparse
import json
from pathlib import Path

import pytest
from watchdesk_collector.cli import finding
from watchdesk_collector.cli.errors import CliError
from watchdesk_collector.cli.finding import Address, find
from watchdesk_collector.config import Config
from watchdesk_collector.web.config import WebConfig

NOTHING = argparse.Namespace(url=None, token_file=None)
ABSENT = Path("/nonexistent/collector.toml")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_demo(folder: Path, told: str | None = None) -> None:
    (folder / ".demo").mkdir()
    (folder / ".demo/cli.json").write_text(told or json.dumps({"url": "http://127.0.0.1:1234", "token_file": "/demo/api.token"}))


def test_without_anything_the_default_collector_of_this_machine_is_meant() -> None:
    assert find(NOTHING, environment={}, config=ABSENT) == Address(
        url="http://127.0.0.1:9780", token_file=Path("/var/lib/watchdesk-collector/api.token")
    )  # fmt: skip


def test_the_defaults_are_the_collectors_own() -> None:
    config = Config()
    assert (config.state_dir, WebConfig().listen) == (finding.STATE_DIR, finding.LISTEN)


def test_the_collectors_configuration_is_looked_at(tmp_path: Path) -> None:
    config = tmp_path / "collector.toml"
    config.write_text('state_dir = "/srv/watchdesk"\n[web]\nlisten = "127.0.0.1:8000"\n')
    assert find(NOTHING, environment={}, config=config) == Address(url="http://127.0.0.1:8000", token_file=Path("/srv/watchdesk/api.token"))


def test_a_demo_in_a_folder_above_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_demo(tmp_path)
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find(NOTHING, environment={}, config=ABSENT) == Address(url="http://127.0.0.1:1234", token_file=Path("/demo/api.token"))


def test_options_go_before_the_environment_and_that_before_the_demo(tmp_path: Path) -> None:
    make_demo(tmp_path)
    environment = {"WATCHDESK_URL": "http://env:1/", "WATCHDESK_TOKEN_FILE": "/env.token"}
    assert find(NOTHING, environment=environment, config=ABSENT) == Address(url="http://env:1", token_file=Path("/env.token"))
    options = argparse.Namespace(url="https://option:2", token_file=Path("/option.token"))
    assert find(options, environment=environment, config=ABSENT) == Address(url="https://option:2", token_file=Path("/option.token"))


@pytest.mark.parametrize(("url", "said"), [("localhost:9780", "is not a URL; write it like http://127.0.0.1:9780")])
def test_a_url_without_a_scheme_is_wrong_usage(url: str, said: str) -> None:
    with pytest.raises(CliError, match=said) as raised:
        find(argparse.Namespace(url=url, token_file=None), environment={}, config=ABSENT)
    assert raised.value.code == 2


def test_a_broken_demo_file_or_configuration_is_told(tmp_path: Path) -> None:
    make_demo(tmp_path, told="{")
    with pytest.raises(CliError, match=r"cli\.json cannot be used"):
        find(NOTHING, environment={}, config=ABSENT)
    (tmp_path / ".demo/cli.json").unlink()
    (tmp_path / "collector.toml").write_text("[web")
    with pytest.raises(CliError, match="`watchdesk-collector check-config` tells more"):
        find(NOTHING, environment={}, config=tmp_path / "collector.toml")
