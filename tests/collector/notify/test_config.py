"""What an operator may write about receivers, and how what is wrong is answered."""

from pathlib import Path

import pytest
from watchdesk_collector.notify.config import NotifyConfig, Security
from watchdesk_proto.settings import ConfigError, parse

PATH = Path("collector.toml")
GOOD = """
base_url = "https://watchdesk.example.org"
[email.ops]
server = "mail.example.org"
from = "watchdesk@example.org"
to = ["ops@example.org"]
username = "watchdesk"
password_file = "/etc/watchdesk/mail.password"
[email.ops.only]
severity = "critical"
hosts = ["db*"]
[webhook.chat]
url = "https://chat.example.org/hooks/1"
secret_env = "CHAT_SECRET"
[retry]
give_up_after = "4h"
"""


def complaint(document: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(document, NotifyConfig, path=PATH)
    return str(raised.value)


def test_receivers_are_called_by_kind_and_name() -> None:
    config = parse(GOOD, NotifyConfig, path=PATH)
    assert [receiver.name for receiver in config.receivers()] == ["email.ops", "webhook.chat"]
    assert config.email["ops"].security is Security.STARTTLS
    assert config.email["ops"].sender == "watchdesk@example.org"
    assert config.retry.give_up_after == 14400


@pytest.mark.parametrize("server", ["mail.example.org", "10.0.0.1", "localhost.example.org"])
def test_mail_in_the_clear_stays_on_this_machine(server: str) -> None:
    document = f'[email.ops]\nserver = "{server}"\nsecurity = "none"\nfrom = "a@b"\nto = ["a@b"]\n'
    assert complaint(document) == (
        f'collector.toml:3: email.ops.security is "none", which sends mail to {server} in the clear; use "starttls" or "tls"'
    )


@pytest.mark.parametrize("server", ["localhost", "127.0.0.1", "::1"])
def test_the_machines_own_mail_server_needs_no_tls(server: str) -> None:
    document = f'[email.ops]\nserver = "{server}"\nsecurity = "none"\nfrom = "a@b"\nto = ["a@b"]\n'
    assert parse(document, NotifyConfig, path=PATH).email["ops"].server == server


def test_everything_that_is_wrong_is_told_at_once() -> None:
    document = """
[email.ops]
server = "mail.example.org"
from = "watchdesk"
to = []
[email.boss]
server = "mail.example.org"
from = "a@b"
to = ["a@b\\nBcc: c@d"]
username = "x"
[email.third]
server = "mail.example.org"
from = "a@b"
to = ["a@b"]
username = "x"
[webhook.chat]
url = "https://user:password@chat.example.org/"
[webhook.other]
url = "chat.example.org"
"""
    found = complaint(document)
    assert "collector.toml:5: email.ops.to is empty; name at least one address" in found
    assert "collector.toml:9: email.boss.to has 'a@b\\nBcc: c@d', which is no mail address" in found
    assert "collector.toml:15: email.third.username needs password_file or password_env with it" in found
    assert "collector.toml:17: webhook.chat.url must not hold a user or password" in found
    assert "collector.toml:19: webhook.other.url must be a whole address" in found
