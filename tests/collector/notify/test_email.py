"""Mail, over a real SMTP server."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from collector.notify.samples import KEY, firing, note, resolved
from collector.notify.servers import MailServer, mail_server
from watchdesk_collector.notify.config import EmailConfig, Security
from watchdesk_collector.notify.email import EmailNotifier
from watchdesk_collector.notify.errors import DeliveryError


async def test_a_mail_goes_over_starttls_with_a_password_to_all_recipients(mail: MailServer, email_config: EmailConfig) -> None:
    await EmailNotifier(email_config).send(firing(), KEY)
    (received,) = mail.received
    assert mail.was_encrypted == [True]
    assert received["Message-ID"] == f"<{KEY}@example.org>"
    assert received["Subject"] == '[CRITICAL] web1: /var is 98.2 % full; 1.7 GiB are left <of "100 GiB">'
    assert received["From"].addresses[0].display_name == "Watchdesk"
    assert [address.addr_spec for address in received["To"].addresses] == ["ops@example.org", "boss@example.org"]
    assert received["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in received.iter_parts()] == ["text/plain", "text/html"]


async def test_a_recovery_stands_in_the_thread_of_its_problem(mail: MailServer, email_config: EmailConfig) -> None:
    await EmailNotifier(email_config).send(resolved(), "another")
    assert mail.received[0]["In-Reply-To"] == f"<{KEY}@example.org>"
    assert mail.received[0]["References"] == f"<{KEY}@example.org>"
    assert mail.received[0]["Subject"].startswith("[RESOLVED] web1: ")


async def test_text_of_hosts_cannot_add_headers_or_html(mail: MailServer, email_config: EmailConfig) -> None:
    hostile = replace(note(), summary="x\r\nBcc: evil@example.org\r\n\r\n<script>alert(1)</script>" + "y" * 300)
    await EmailNotifier(email_config).send(firing(hostile), KEY)
    (received,) = mail.received
    assert received["Bcc"] is None
    assert len(received["Subject"]) <= 150
    html = received.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()


async def test_tls_from_the_start(authority: trustme.CA, email_config: EmailConfig) -> None:
    async with mail_server(authority, implicit_tls=True) as server:
        await EmailNotifier(replace(email_config, port=server.port, security=Security.TLS)).send(firing(), KEY)
        assert len(server.received) == 1


async def test_plain_smtp_to_the_machines_own_server(authority: trustme.CA, email_config: EmailConfig) -> None:
    async with mail_server(authority, plain=True) as server:
        config = replace(email_config, port=server.port, security=Security.NONE, username=None, password_file=None)
        await EmailNotifier(config).send(firing(), KEY)
        assert server.was_encrypted == [False]


async def test_a_server_with_an_unknown_certificate_gets_nothing(mail: MailServer, email_config: EmailConfig) -> None:
    with pytest.raises(DeliveryError, match="certificate verify failed") as raised:
        await EmailNotifier(replace(email_config, ca_file=None)).send(firing(), KEY)
    assert not raised.value.permanent
    assert mail.received == []


async def test_a_server_without_starttls_gets_nothing(authority: trustme.CA, email_config: EmailConfig) -> None:
    async with mail_server(authority, plain=True) as server:
        with pytest.raises(DeliveryError, match="STARTTLS"):
            await EmailNotifier(replace(email_config, port=server.port)).send(firing(), KEY)
        assert server.received == []


async def test_a_wrong_password_may_be_put_right_and_is_not_told_to_anybody(email_config: EmailConfig, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    with pytest.raises(DeliveryError, match="does not take the user name and password") as raised:
        await EmailNotifier(email_config).send(firing(), KEY)
    assert not raised.value.permanent
    assert "hunter2" not in str(raised.value)


async def test_a_password_file_that_is_gone_is_one_clear_sentence(email_config: EmailConfig, tmp_path: Path) -> None:
    (tmp_path / "password").unlink()
    with pytest.raises(DeliveryError, match=r"cannot read the secret in .*password: No such file or directory"):
        await EmailNotifier(email_config).send(firing(), KEY)


async def test_a_password_may_come_from_the_environment(mail: MailServer, email_config: EmailConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(email_config, password_file=None, password_env="WATCHDESK_TEST_PASSWORD")
    with pytest.raises(DeliveryError, match="WATCHDESK_TEST_PASSWORD is not set"):
        await EmailNotifier(config).send(firing(), KEY)
    monkeypatch.setenv("WATCHDESK_TEST_PASSWORD", "pässword")
    await EmailNotifier(config).send(firing(), KEY)
    assert len(mail.received) == 1


@pytest.mark.parametrize(("answer", "is_permanent"), [("451 try later", False), ("554 no thanks", True)])
async def test_a_refusal_is_permanent_when_the_server_says_so(mail: MailServer, email_config: EmailConfig, answer: str, is_permanent: bool) -> None:
    mail.refusals.append(answer)
    with pytest.raises(DeliveryError, match=f"127.0.0.1 answered {answer}") as raised:
        await EmailNotifier(email_config).send(firing(), KEY)
    assert raised.value.permanent is is_permanent


async def test_one_refused_recipient_does_not_keep_the_mail_from_the_others(
    mail: MailServer, email_config: EmailConfig, caplog: pytest.LogCaptureFixture
) -> None:
    mail.refused_recipients["boss@example.org"] = "550 no such user"
    await EmailNotifier(email_config).send(firing(), KEY)
    assert len(mail.received) == 1
    assert "refuses recipient boss@example.org, the others have the mail" in caplog.text


async def test_when_every_recipient_is_refused_nothing_is_delivered(mail: MailServer, email_config: EmailConfig) -> None:
    mail.refused_recipients.update({"boss@example.org": "550 no such user", "ops@example.org": "451 greylisted"})
    with pytest.raises(DeliveryError, match="refuses every recipient") as raised:
        await EmailNotifier(email_config).send(firing(), KEY)
    assert not raised.value.permanent


async def test_nobody_listens(email_config: EmailConfig) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(DeliveryError, match=r"127\.0\.0\.1:") as raised:
            await EmailNotifier(replace(email_config, port=free.getsockname()[1])).send(firing(), KEY)
    assert not raised.value.permanent


async def test_a_server_that_says_nothing_is_not_waited_for(email_config: EmailConfig) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        config = replace(email_config, port=mute.getsockname()[1], timeout=0.2)
        with pytest.raises(DeliveryError, match=r"took longer than 0\.2 s|imed out"):
            await EmailNotifier(config).send(firing(), KEY)
