from dataclasses import dataclass
from pathlib import Path

import pytest
from watchdesk_agent.probes.config import ProbeConfig, ProbeKind, check_probes
from watchdesk_agent.probes.target import parse_address, parse_redirect, parse_url
from watchdesk_proto.settings import ConfigError, parse, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    probe: tuple[ProbeConfig, ...] = setting((), help="Probes.", check=check_probes)


def read(document: str) -> Whole:
    return parse(document, Whole, path=Path("agent.toml"))


def test_a_probe_needs_three_keys() -> None:
    [probe] = read('[[probe]]\nname = "shop"\nkind = "http"\ntarget = "https://shop.example/health"\n').probe
    assert (probe.kind, probe.interval, probe.timeout, probe.follow_redirects, probe.verify) == (ProbeKind.HTTP, 30.0, 10.0, False, True)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('kind = "tcp"\ntarget = "db.example"', "target is 'db.example'; write it like \"db.example:5432\""),
        ('kind = "tcp"\ntarget = "db.example:99999"', "target has the port 99999; ports go from 1 to 65535"),
        ('kind = "tcp"\ntarget = "2001:db8::1:80"', "an IPv6 address stands in brackets"),
        ('kind = "tcp"\ntarget = "https://shop.example/"', "target is 'https://shop.example/'; write it like"),
        ('kind = "tcp"\ntarget = "a..b:80"', "target has the host 'a..b', which cannot be a name"),
        ('kind = "tcp"\ntarget = "db.example:1"\ncontains = "x"', 'contains is only for kind = "http"; remove it'),
        ('kind = "http"\ntarget = "shop.example"', 'write it like "https://shop.example/health"'),
        ('kind = "http"\ntarget = "https://user:pass@shop.example/"', "target has a user or password in it"),
        ('kind = "http"\ntarget = "https://shop.example:x/"', "target is 'https://shop.example:x/', which is no URL"),
        ('kind = "http"\ntarget = "https://shop.example/"\nmatches = "("', "matches is not a regular expression of Python"),
        ('kind = "http"\ntarget = "https://shop.example/"\nheaders = { "X Y" = "1" }', "headers has 'X Y', which cannot be the name of a header"),
        ('kind = "http"\ntarget = "https://shop.example/"\nheaders = { X = "1\\n2" }', "headers has a value for 'X' that is more than one line"),
        ('kind = "http"\ntarget = "https://shop.example/"\ninterval = "5s"', "timeout must not be longer than interval (5s)"),
        ('kind = "http"\ntarget = "https://shop.example/"\ninterval = "100ms"', "interval must be at least 1s"),
        ('kind = "icmp"\ntarget = "x"', "kind is 'icmp'; it must be one of tcp, http"),
    ],
)
def test_a_wrong_probe_is_told_with_the_remedy(line: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(f'[[probe]]\nname = "shop"\n{line}\n')
    assert complaint in str(raised.value)


def test_two_probes_cannot_share_a_name() -> None:
    one = '[[probe]]\nname = "shop"\nkind = "tcp"\ntarget = "a:1"\n'
    with pytest.raises(ConfigError, match="more than one probe called 'shop'; give each its own name"):
        read(one + one)


def test_addresses_and_urls_are_taken_apart() -> None:
    assert str(parse_address("[2001:db8::1]:22")) == "[2001:db8::1]:22"
    assert parse_address("[2001:db8::1]:22").is_literal
    assert not parse_address("localhost:22").is_literal
    assert (parse_url("https://Bücher.example").address.host, parse_url("https://Bücher.example").path) == ("xn--bcher-kva.example", "/")
    assert parse_url("https://a.example:443/x").host_header == "a.example"
    assert parse_url("http://[::1]:8080/x").host_header == "[::1]:8080"


def test_a_redirect_may_be_relative() -> None:
    base = parse_url("https://a.example/x/y?q=1")
    assert str(parse_redirect(base, "../z")) == "https://a.example/z"
    assert str(parse_redirect(base, "//b.example/z")) == "https://b.example/z"
