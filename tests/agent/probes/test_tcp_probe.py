import socket
import threading
from typing import Any

import pytest
from watchdesk_agent.probes.config import ProbeConfig, ProbeKind


def tcp(target: str, **settings: Any) -> ProbeConfig:
    return ProbeConfig(name="db", kind=ProbeKind.TCP, target=target, **settings)


def talk_nothing(connection: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def test_an_open_port_is_a_success_with_a_connect_phase(servers: Any, try_once: Any) -> None:
    row = try_once(tcp(f"127.0.0.1:{servers.raw(talk_nothing)}"))
    assert (row["success"], row["error"], row["kind"]) == (1, None, "tcp")
    assert 0 < row["connect_seconds"] <= row["duration_seconds"] < 5
    assert (row["dns_seconds"], row["tls_seconds"], row["status_code"]) == (None, None, None)


def test_a_name_has_a_dns_phase(servers: Any, try_once: Any) -> None:
    row = try_once(tcp(f"localhost:{servers.raw(talk_nothing)}"))
    assert (row["success"], row["error"]) == (1, None)
    assert row["dns_seconds"] > 0


def test_a_closed_port_is_refused(servers: Any, try_once: Any) -> None:
    row = try_once(tcp(f"127.0.0.1:{servers.closed_port()}"))
    assert (row["success"], row["error"]) == (0, "while connecting: Connection refused")


def test_a_name_that_does_not_exist_is_a_failure_of_the_lookup(try_once: Any) -> None:
    row = try_once(tcp("no-such-host.invalid:80"))
    assert row["success"] == 0
    assert row["error"].startswith("while looking up the address: ")


def test_a_target_that_accepts_nothing_ends_at_the_timeout(try_once: Any) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            row = try_once(tcp(f"127.0.0.1:{full.getsockname()[1]}", timeout=0.2))
    assert (row["success"], row["error"]) == (0, "no answer within 0.2 s, while connecting")
    assert row["duration_seconds"] == pytest.approx(0.2, abs=0.15)
