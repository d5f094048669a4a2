import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdesk_agent.logs.mask import Masker

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter2 user=x", "password=*** user=x"),
        ("password: hunter2, next", "password: ***, next"),
        ("PASSWD = 'hunter 2' x", "PASSWD = *** x"),
        ("db_password=hunter2;host=h", "db_password=***;host=h"),
        ('{"password": "a\\"b,c", "user": "x"}', '{"password": ***, "user": "x"}'),
        ('{\\"secret\\": \\"two words\\", \\"user\\": 1}', '{\\"secret\\": ***, \\"user\\": 1}'),
        ("{'api_key': 'zzz', 'n': 1}", "{'api_key': ***, 'n': 1}"),
        ('password = "never closed', "password = ***"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=***"),
        ('secretKey: "x"', "secretKey: ***"),
        ("https://h/x?token=abc&page=1", "https://h/x?token=***&page=1"),
        ("x-auth-token: abc", "x-auth-token: ***"),
        ("mysql --password hunter2 -u root", "mysql --password *** -u root"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("authorization=Basic dXNlcjpwYXNz", "authorization=Basic ***"),
        ('{"Authorization": "Bearer abc"}', '{"Authorization": "Bearer ***"}'),
        ("sent bearer abc12345678 to it", "sent bearer *** to it"),
        ("Set-Cookie: sid=1; Path=/", "Set-Cookie: ***"),
        ("id AKIAIOSFODNN7EXAMPLE used", "id *** used"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln ok", "jwt *** ok"),
        ("ghp_" + "a" * 36, "***"),
        ("postgres://app:p4ss@db.example/x", "postgres://app:***@db.example/x"),
        ("redis://:p@ss@host:6379", "redis://:***@host:6379"),
        (f"key: {KEY} end", "key: *** end"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIE\\nnever ended", "***"),
    ],
)
def test_secrets_are_masked_and_their_names_kept(text: str, masked: str) -> None:
    assert Masker().mask(text) == (masked, 1)


@pytest.mark.parametrize(
    "text",
    [
        "basic authentication failed",
        "the token was bad",
        "tokens: 5",
        "author=me",
        "http://host:8080/a@b",
        "bearer authentication required",
        "-----BEGIN CERTIFICATE-----",
        "passwordless login",
    ],
)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert Masker().mask(text) == (text, 0)


def test_all_secrets_of_a_text_are_masked_and_counted() -> None:
    assert Masker().mask("password=a token=b AKIAIOSFODNN7EXAMPLE") == ("password=*** token=*** ***", 3)


def test_configured_patterns_are_masked_too_and_may_keep_a_part() -> None:
    masker = Masker([r"\b\d{16}\b", r"(?P<keep>pin )\d+"])
    assert masker.mask("card 4111111111111111 pin 1234") == ("card *** pin ***", 2)


@given(st.text(alphabet="abc \"'\\=:;,/@.-\n", max_size=80), st.text(alphabet="XYZ019", min_size=8, max_size=20))
def test_a_password_never_survives_whatever_is_before_it(before: str, secret: str) -> None:
    masked, _ = Masker().mask(f"{before} password={secret} after")
    assert secret not in masked


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        "password ",
        "http://",
        "a=b ",
        '"password":"',
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        "_token",
        "bearer ",
        "--token ",
        'password=\\"',
    ],
)
def test_masking_is_linear_in_hostile_text(unit: str) -> None:
    text = unit * (262_144 // len(unit))
    begin = time.process_time()
    Masker().mask(text)
    assert time.process_time() - begin < 2.0
