import ssl
from datetime import UTC, datetime

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from watchdesk_agent.probes.certificate import expires_at


def der(not_after: datetime) -> bytes:
    leaf = trustme.CA().issue_cert("a.example", not_before=datetime(1990, 1, 1, tzinfo=UTC), not_after=not_after)
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize("year", [1999, 2049, 2050, 9999])
def test_both_ways_of_writing_a_time_are_read(year: int) -> None:
    at = datetime(year, 12, 31, 23, 59, 58, tzinfo=UTC)
    assert expires_at(der(at)) == at


def test_a_certificate_that_is_cut_short_has_no_expiry() -> None:
    whole = der(datetime(2030, 1, 1, tzinfo=UTC))
    assert [expires_at(whole[:length]) for length in range(len(whole))] == [None] * len(whole)


@given(st.binary(max_size=300))
def test_nonsense_has_no_expiry_and_no_crash(nonsense: bytes) -> None:
    assert expires_at(nonsense) is None


SHORT = der(datetime(2030, 1, 1, tzinfo=UTC))


@given(position=st.integers(0, len(SHORT) - 1), byte=st.integers(0, 255))
def test_a_damaged_byte_is_no_crash(position: int, byte: int) -> None:
    damaged = SHORT[:position] + bytes([byte]) + SHORT[position + 1 :]
    assert expires_at(damaged) is None or isinstance(expires_at(damaged), datetime)
