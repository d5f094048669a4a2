from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from watchdesk_agent.probes.config import ProbeConfig, ProbeKind

OK: dict[str, tuple[int, dict[str, str], bytes]] = {"/": (200, {}, b"ready")}


def https(port: int, **settings: Any) -> ProbeConfig:
    return ProbeConfig(name="shop", kind=ProbeKind.HTTP, target=f"https://127.0.0.1:{port}/", **settings)


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def test_a_trusted_certificate_is_a_success_with_a_tls_phase_and_an_expiry(servers: Any, try_once: Any, ca: trustme.CA, ca_file: Path) -> None:
    port = servers.http(OK, certificate=ca.issue_cert("127.0.0.1", not_after=in_days(10)))
    row = try_once(https(port, ca_file=ca_file, contains="ready"))
    assert (row["success"], row["error"], row["status_code"]) == (1, None, 200)
    assert row["tls_seconds"] > 0
    assert row["certificate_expires_seconds"] == pytest.approx(10 * 86400, abs=60)


def test_an_expired_certificate_is_refused_and_says_since_when(servers: Any, try_once: Any, ca: trustme.CA, ca_file: Path) -> None:
    port = servers.http(OK, certificate=ca.issue_cert("127.0.0.1", not_before=in_days(-10), not_after=in_days(-2)))
    row = try_once(https(port, ca_file=ca_file))
    assert (row["success"], row["error"]) == (0, "the certificate is refused: certificate has expired")
    assert row["certificate_expires_seconds"] == pytest.approx(-2 * 86400, abs=60)


def test_a_certificate_for_another_host_is_refused(servers: Any, try_once: Any, ca: trustme.CA, ca_file: Path) -> None:
    port = servers.http(OK, certificate=ca.issue_cert("other.example"))
    row = try_once(https(port, ca_file=ca_file))
    assert row["success"] == 0
    assert row["error"].startswith("the certificate is refused: IP address mismatch")


def test_an_unknown_authority_is_refused_unless_verify_is_off(servers: Any, try_once: Any, ca: trustme.CA) -> None:
    port = servers.http(OK, certificate=ca.issue_cert("127.0.0.1", not_after=in_days(10)))
    refused = try_once(https(port))
    assert refused["error"].startswith("the certificate is refused: unable to get local issuer certificate")
    blind = try_once(https(port, verify=False))
    assert blind["success"] == 1
    assert blind["certificate_expires_seconds"] == pytest.approx(10 * 86400, abs=60)


def test_a_port_without_tls_is_told_apart_from_a_bad_certificate(servers: Any, try_once: Any) -> None:
    row = try_once(https(servers.http(OK), timeout=5))
    assert row["success"] == 0
    assert "does this port speak TLS?" in row["error"]


def test_a_server_that_never_shakes_hands_ends_at_the_timeout(servers: Any, try_once: Any) -> None:
    row = try_once(https(servers.raw(lambda _, over: over.wait(30)), timeout=0.2))
    assert (row["success"], row["error"]) == (0, "no answer within 0.2 s, while agreeing on encryption")


def test_a_ca_file_that_cannot_be_used_is_told_by_name(servers: Any, try_once: Any, tmp_path: Path) -> None:
    row = try_once(https(servers.http(OK), ca_file=tmp_path / "missing.pem"))
    assert row["error"] == f"ca_file {tmp_path / 'missing.pem'} cannot be used: No such file or directory"


def test_of_two_certificates_on_the_way_the_one_that_expires_first_counts(servers: Any, try_once: Any, ca: trustme.CA, ca_file: Path) -> None:
    last = servers.http(OK, certificate=ca.issue_cert("127.0.0.1", not_after=in_days(5)))
    first = servers.http({"/": (302, {"Location": f"https://127.0.0.1:{last}/"}, b"")}, certificate=ca.issue_cert("127.0.0.1", not_after=in_days(20)))
    row = try_once(https(first, ca_file=ca_file, follow_redirects=True))
    assert row["success"] == 1
    assert row["certificate_expires_seconds"] == pytest.approx(5 * 86400, abs=60)
