"""What the demo is made of: ports, its folder, the sinks that its messages arrive at, the port that it probes."""

import argparse
import hashlib
import hmac
import smtplib
import socket
import ssl
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from watchdesk_collector.cli.demo import place as places
from watchdesk_collector.cli.demo.certificates import TlsFiles, make_tls_files
from watchdesk_collector.cli.demo.options import PORTS, add_arguments, options_of, port_complaint
from watchdesk_collector.cli.demo.screen import trim
from watchdesk_collector.cli.demo.sinks import HookSink, MailSink
from watchdesk_collector.cli.demo.target import Target
from watchdesk_collector.cli.demo.waiting import DemoError

SECRET = "s3cret"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def mails(tls: TlsFiles) -> Iterator[MailSink]:
    sink = MailSink(port=free_port(), tls=tls, user="watchdesk", password="right")
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def hooks() -> Iterator[HookSink]:
    sink = HookSink(port=0, secret=SECRET)
    sink.start()
    yield sink
    sink.stop()


def test_options_have_the_documented_defaults() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = options_of(parser.parse_args([]))
    assert options.ports["grpc"] == 9740
    assert options.ports["web"] == 9780
    assert options.directory == Path(".demo").resolve()
    assert options.run_for_s is None
    assert options_of(parser.parse_args(["--for", "60s"])).run_for_s == 60


def test_a_busy_port_is_one_sentence_that_names_the_port_and_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        busy = listener.getsockname()[1]
        complaint = port_complaint({port.name: busy if port.name == "web" else free_port() for port in PORTS})
    assert complaint is not None
    assert str(busy) in complaint
    assert "--web-port" in complaint


def test_a_port_given_twice_is_refused() -> None:
    free = free_port()
    complaint = port_complaint({port.name: free for port in PORTS})
    assert complaint == f"Port {free} is given twice, for --grpc-port and --web-port: choose another for one of them."


def test_free_ports_are_no_complaint() -> None:
    assert port_complaint({port.name: free_port() for port in PORTS}) is None


def test_a_folder_with_something_else_in_it_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    with pytest.raises(DemoError, match="no demo made"):
        places.prepare(tmp_path, {port.name: 1 for port in PORTS})
    assert (tmp_path / "precious").read_text() == "keep"


def test_a_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    ports = {port.name: port.default for port in PORTS}
    first = places.prepare(tmp_path / "demo", ports)
    (first.directory / "left-over").touch()
    second = places.prepare(tmp_path / "demo", ports)
    assert not (second.directory / "left-over").exists()
    assert second.webhook_secret != first.webhook_secret


def test_secrets_of_the_demo_are_readable_by_its_owner_alone(tmp_path: Path) -> None:
    place = places.prepare(tmp_path / "demo", {port.name: port.default for port in PORTS})
    for name in ("mail.password", "webhook.secret", "tls/server.key"):
        assert stat.S_IMODE((place.directory / name).stat().st_mode) == 0o600


def test_mail_over_tls_with_the_password_is_taken(mails: MailSink, tls: TlsFiles) -> None:
    message = EmailMessage()
    message["Subject"] = "disk is full"
    message.set_content("on host a")
    with smtplib.SMTP("localhost", mails.port) as client:
        client.starttls(context=ssl.create_default_context(cafile=tls.authority))
        client.login("watchdesk", "right")
        client.send_message(message, "from@localhost", ["to@localhost"])
    taken = mails.received.get(timeout=10)
    assert taken.message["Subject"] == "disk is full"
    assert taken.text.strip() == "on host a"


def test_mail_with_a_wrong_password_is_refused(mails: MailSink, tls: TlsFiles) -> None:
    with smtplib.SMTP("localhost", mails.port) as client:
        client.starttls(context=ssl.create_default_context(cafile=tls.authority))
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("watchdesk", "wrong")


def test_mail_without_tls_is_refused(mails: MailSink) -> None:
    with smtplib.SMTP("localhost", mails.port) as client, pytest.raises(smtplib.SMTPException):
        client.sendmail("from@localhost", ["to@localhost"], "Subject: no\n\nno")
    assert mails.received.empty()


def test_a_webhook_with_the_right_signature_is_taken(hooks: HookSink) -> None:
    assert post(hooks, b'{"state": "firing"}', signed_with=SECRET) == 204
    assert hooks.received.get(timeout=10).body == {"state": "firing"}


def test_a_webhook_with_a_wrong_signature_is_refused(hooks: HookSink) -> None:
    assert post(hooks, b'{"state": "firing"}', signed_with="other") == 401
    assert hooks.received.empty()
    assert hooks.refused == 1


def test_the_target_refuses_connections_while_it_is_stopped() -> None:
    target = Target(port=free_port())
    target.start()
    socket.create_connection(("127.0.0.1", target.port), timeout=5).close()
    target.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", target.port), timeout=5)
    target.start()
    socket.create_connection(("127.0.0.1", target.port), timeout=5).close()
    target.stop()


def test_long_messages_are_trimmed_and_say_so() -> None:
    assert trim(["a", "", "", "b", ""], 5) == ["a", "", "b"]
    assert trim([str(number) for number in range(10)], 3) == ["0", "1", "2", "… 7 more lines"]


def post(hooks: HookSink, body: bytes, *, signed_with: str) -> int:
    signature = hmac.new(signed_with.encode(), b"1700000000." + body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(f"http://127.0.0.1:{hooks.port}/", data=body)
    request.add_header("X-Watchdesk-Timestamp", "1700000000")
    request.add_header("X-Watchdesk-Signature", f"sha256={signature}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
