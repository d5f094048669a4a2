from pathlib import Path

import pytest
from watchdesk_agent.sampling.config import InterfaceFilter, selector
from watchdesk_proto.settings import ConfigError, parse


def test_what_exclude_matches_is_left_out_unless_include_matches_it_too() -> None:
    selected = selector(include=["veth1"], exclude=["veth*", "lo"])
    assert [name for name in ("eth0", "lo", "veth0", "veth1") if selected(name)] == ["eth0", "veth1"]


def test_globs_match_the_whole_name_and_mind_the_case() -> None:
    selected = selector(include=[], exclude=["lo"])
    assert [name for name in ("lo", "lo0", "LO") if selected(name)] == ["lo0", "LO"]


def test_a_list_in_the_file_replaces_the_default_of_that_key_alone() -> None:
    interfaces = parse('include = ["lo"]\n', InterfaceFilter, path=Path("agent.toml"))
    assert (interfaces.include, interfaces.exclude) == (("lo",), InterfaceFilter().exclude)


def test_a_wrong_key_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"agent.toml:1: exclud is not a known key; did you mean 'exclude'"):
        parse('exclud = ["wg*"]\n', InterfaceFilter, path=Path("agent.toml"))
