import socket
import threading
from typing import Any

import pytest
from watchdesk_agent.probes.config import ProbeConfig, ProbeKind


def http(target: str, **settings: Any) -> ProbeConfig:
    return ProbeConfig(name="shop", kind=ProbeKind.HTTP, target=target, **settings)


PAGES = {
    "/": (200, {"Content-Type": "text/plain; charset=latin-1"}, "état: prêt\nversion 12".encode("latin-1")),
    "/teapot": (418, {}, b""),
    "/moved": (301, {"Location": "/"}, b""),
    "/round": (302, {"Location": "/round"}, b""),
    "/away": (302, {"Location": "ftp://elsewhere.example/"}, b""),
    "/nonsense": (200, {"Content-Type": "text/plain; charset=no-such-charset"}, b"ready"),
}


@pytest.fixture
def shop(servers: Any) -> str:
    return f"http://127.0.0.1:{servers.http(PAGES)}"


def test_a_good_answer_has_all_phases_of_plain_http(shop: str, try_once: Any) -> None:
    row = try_once(http(f"{shop}/"))
    assert (row["success"], row["error"], row["status_code"]) == (1, None, 200)
    assert row["connect_seconds"] > 0
    assert row["first_byte_seconds"] > 0
    assert (row["tls_seconds"], row["certificate_expires_seconds"]) == (None, None)


@pytest.mark.parametrize("condition", [{"contains": "prêt"}, {"matches": r"version \d+"}, {"matches": r"(?m)^version 1\d$"}])
def test_a_body_that_meets_its_condition_is_a_success(shop: str, try_once: Any, condition: dict[str, str]) -> None:
    row = try_once(http(f"{shop}/", **condition))
    assert (row["success"], row["error"]) == (1, None)


def test_a_body_that_does_not_meet_its_condition_says_how_it_begins(shop: str, try_once: Any) -> None:
    row = try_once(http(f"{shop}/", contains="ready"))
    assert (row["success"], row["status_code"]) == (0, 200)
    assert row["error"] == "the body does not contain 'ready'; it begins with 'état: prêt\\nversion 12'"
    assert "does not match '^ready'" in try_once(http(f"{shop}/", matches="^ready"))["error"]


def test_a_charset_that_does_not_exist_is_read_as_utf8(shop: str, try_once: Any) -> None:
    assert try_once(http(f"{shop}/nonsense", contains="ready"))["success"] == 1


def test_an_unexpected_status_fails_and_an_expected_one_does_not(shop: str, try_once: Any) -> None:
    assert try_once(http(f"{shop}/teapot"))["error"] == "status 418 instead of 2xx"
    assert try_once(http(f"{shop}/teapot", status=(418,)))["success"] == 1
    assert try_once(http(f"{shop}/", status=(204, 418)))["error"] == "status 200 instead of 204, 418"


def test_redirects_are_not_followed_unless_told_to(shop: str, try_once: Any) -> None:
    stopped = try_once(http(f"{shop}/moved"))
    assert stopped["error"] == "status 301 instead of 2xx; it redirects to / (see follow_redirects)"
    followed = try_once(http(f"{shop}/moved", follow_redirects=True, contains="version"))
    assert (followed["success"], followed["status_code"]) == (1, 200)


def test_redirects_in_a_circle_and_to_other_schemes_end_the_attempt(shop: str, try_once: Any) -> None:
    assert try_once(http(f"{shop}/round", follow_redirects=True))["error"] == "it redirects more than 5 times"
    assert "ftp://elsewhere.example/" in try_once(http(f"{shop}/away", follow_redirects=True))["error"]


def test_headers_are_sent_but_not_on_to_another_host(servers: Any, try_once: Any) -> None:
    elsewhere = servers.http({"/": (200, {}, b"")})
    here = servers.http({"/": (302, {"Location": f"http://127.0.0.1:{elsewhere}/"}, b"")})
    assert try_once(http(f"http://127.0.0.1:{here}/", headers={"X-Token": "s3cret"}, follow_redirects=True))["success"] == 1
    first, second = (headers for _, headers in servers.requests)
    assert (first["X-Token"], first["Host"]) == ("s3cret", f"127.0.0.1:{here}")
    assert "X-Token" not in second


def test_a_path_with_spaces_and_letters_is_quoted(servers: Any, try_once: Any) -> None:
    port = servers.http({"/a%20b/%C3%A9?q=%C3%A9&r=1": (200, {}, b"")})
    assert try_once(http(f"http://127.0.0.1:{port}/a b/é?q=é&r=1"))["success"] == 1


def test_a_server_that_accepts_and_says_nothing_ends_at_the_timeout(servers: Any, try_once: Any) -> None:
    row = try_once(http(f"http://127.0.0.1:{servers.raw(lambda _, over: over.wait(30))}/", timeout=0.2))
    assert (row["success"], row["error"]) == (0, "no answer within 0.2 s, while waiting for the answer")
    assert row["duration_seconds"] == pytest.approx(0.2, abs=0.15)


def drip(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not over.wait(0.02):
        connection.sendall(b"X")


def test_a_server_that_drips_bytes_cannot_prolong_the_attempt(servers: Any, try_once: Any) -> None:
    row = try_once(http(f"http://127.0.0.1:{servers.raw(drip)}/", timeout=0.3))
    assert (row["success"], row["error"]) == (0, "no answer within 0.3 s, while waiting for the answer")
    assert row["duration_seconds"] < 1


def endless(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while not over.wait(0.01):
        connection.sendall(b"data: tick\n\n")


def test_an_endless_answer_is_good_unless_its_body_matters(servers: Any, try_once: Any) -> None:
    port = servers.raw(endless)
    assert try_once(http(f"http://127.0.0.1:{port}/", timeout=5))["success"] == 1
    assert try_once(http(f"http://127.0.0.1:{port}/", timeout=0.3, contains="x"))["error"] == "no answer within 0.3 s, while reading the answer"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "the server hung up without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP: SSH-2.0-OpenSSH_9.2"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "the answer is not HTTP: got more than 100 headers"),
    ],
    ids=["nothing", "ssh", "too-many-headers"],
)
def test_an_answer_that_is_no_http_is_told(servers: Any, try_once: Any, said: bytes, error: str) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(said)

    row = try_once(http(f"http://127.0.0.1:{servers.raw(talk)}/"))
    assert row["success"] == 0
    assert row["error"].strip() == error


def test_a_closed_port_is_refused(servers: Any, try_once: Any) -> None:
    row = try_once(http(f"http://127.0.0.1:{servers.closed_port()}/"))
    assert (row["error"], row["status_code"], row["first_byte_seconds"]) == ("while connecting: Connection refused", None, None)
