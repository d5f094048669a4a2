from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from collector.notify.servers import HookServer, MailServer, hook_server, mail_server
from watchdesk_collector.notify.config import EmailConfig


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def mail(authority: trustme.CA) -> AsyncIterator[MailServer]:
    async with mail_server(authority) as server:
        yield server


@pytest.fixture
async def hooks() -> AsyncIterator[HookServer]:
    async with hook_server() as server:
        yield server


@pytest.fixture
def email_config(mail: MailServer, authority: trustme.CA, tmp_path: Path) -> EmailConfig:
    """How to reach `mail`."""
    password, ca = tmp_path / "password", tmp_path / "ca.pem"
    password.write_text("pässword\n", encoding="utf-8")
    authority.cert_pem.write_to_path(ca)
    return EmailConfig(
        server="127.0.0.1",
        port=mail.port,
        ca_file=ca,
        username="watchdesk",
        password_file=password,
        sender="Watchdesk <watchdesk@example.org>",
        to=("ops@example.org", "boss@example.org"),
        timeout=5.0,
    )
