from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from watchdesk_proto.settings import ConfigError, Form, load, parse, parse_array, parse_duration, parse_size, setting

PATH = Path("agent.toml")


def positive(value: float) -> str | None:
    return None if value > 0 else "must be above 0; leave it out for the default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str = setting(help="Its name.")
    every: float = setting("10s", form=Form.DURATION, help="How often.", check=positive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    max_bytes: int = setting("256MiB", form=Form.SIZE, help="Its bound.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    state_dir: Path = setting(help="Where state lives.")
    level: str = setting("info", help="How much is logged.", choices=("info", "debug"))
    note: str | None = setting(None, help="Free text.")
    globs: tuple[str, ...] = setting((), help="Patterns.")
    spool: Spool = setting(Spool, help="The spool.")
    targets: tuple[Target, ...] = setting((), help="What is watched.")
    named: dict[str, Target] = setting(dict, help="The same, by name.")


def test_defaults_are_read_in_the_units_they_are_written_in() -> None:
    config = parse('state_dir = "/var/lib/x"', Config, path=PATH)
    assert config == Config(state_dir=Path("/var/lib/x"))
    assert config.spool.max_bytes == 256 << 20


def test_every_kind_of_key_is_read() -> None:
    document = """
        state_dir = "/s"
        globs = ["a*", "b*"]
        [spool]
        max_bytes = "1GiB"
        [[targets]]
        name = "one"
        [[targets]]
        name = "two"
        every = "1m30s"
        [named.three]
        name = "3"
    """
    config = parse(document, Config, path=PATH)
    assert config.globs == ("a*", "b*")
    assert config.spool.max_bytes == 1 << 30
    assert [(target.name, target.every) for target in config.targets] == [("one", 10.0), ("two", 90.0)]
    assert config.named["three"].name == "3"


def test_every_problem_is_told_at_once_with_its_line_and_the_remedy() -> None:
    document = "\n".join(
        [
            "state_dri = '/s'",  # 1: misspelt, and so state_dir is missing
            "level = 'loud'",  # 2
            "[spool]",  # 3
            "max_bytes = 5",  # 4
            "[[targets]]",  # 5
            "every = '0s'",  # 6, and name is missing, told at 5
            "[[targets]]",  # 7
            "name = 7",  # 8
        ]
    )
    with pytest.raises(ConfigError) as raised:
        parse(document, Config, path=PATH)
    told = [str(problem) for problem in raised.value.problems]
    assert told == [
        "agent.toml: state_dir is missing; it says: Where state lives.",
        "agent.toml:1: state_dri is not a known key; did you mean 'state_dir'?",
        "agent.toml:2: level is 'loud'; it must be one of info, debug",
        'agent.toml:4: spool.max_bytes is 5; a size is written as text with its unit, like "256MiB"',
        "agent.toml:5: targets[1].name is missing; it says: Its name.",
        "agent.toml:6: targets[1].every must be above 0; leave it out for the default",
        "agent.toml:8: targets[2].name is 7; it must be text in quotes",
    ]


@pytest.mark.parametrize("document", ["state_dir = ", "[spool", "a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_one_problem_with_its_line(document: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(document, Config, path=PATH)
    assert len(raised.value.problems) == 1
    assert "is not valid TOML" in str(raised.value)


def test_a_file_that_is_not_there_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory; create it or name another with --config"):
        load(tmp_path / "none.toml", Config)


def test_a_file_that_is_not_text_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"state_dir = '\xe4'")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(path, Config)


@pytest.mark.parametrize(("written", "seconds"), [("250ms", 0.25), ("10s", 10), ("1h30m", 5400), ("90d", 7776000), ("1.5s", 1.5)])
def test_durations(written: str, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize("written", ["", "10", "s", "10 s", "-1s", "1y", "1s!"])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write it like"):
        parse_duration(written)


@pytest.mark.parametrize(("written", "size"), [("512B", 512), ("64KiB", 65536), ("1.5GiB", 3 << 29), ("1TiB", 1 << 40)])
def test_sizes(written: str, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["", "10", "10MB", "MiB"])
def test_what_is_no_size(written: str) -> None:
    with pytest.raises(ValueError, match="is not a size; write it like"):
        parse_size(written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    name: str = setting(help="What it is called.")
    for_s: float = setting("5m", form=Form.DURATION, key="for", help="How long it must last.")
    at_most_s: float = setting("10m", form=Form.DURATION, key="at_most", help="How long it may last.")

    def problems(self) -> Iterable[tuple[str, str]]:
        if self.for_s > self.at_most_s:
            yield "for", "is longer than at_most; shorten it"


def test_a_key_may_be_a_word_that_python_keeps_for_itself() -> None:
    assert parse('name = "a"\nfor = "2m"', Watch, path=PATH).for_s == 120
    with pytest.raises(ConfigError, match="for_s is not a known key; did you mean 'for'"):
        parse('name = "a"\nfor_s = "2m"', Watch, path=PATH)


def test_what_two_keys_say_together_is_checked_once_each_is_right() -> None:
    with pytest.raises(ConfigError, match=r"^agent\.toml:2: for is longer than at_most; shorten it$"):
        parse('name = "a"\nfor = "20m"', Watch, path=PATH)


def test_an_array_of_tables_gives_the_good_ones_with_their_lines_and_all_problems() -> None:
    document = '[[watch]]\nname = "good"\n\n[[watch]]\nfor = "x"\n\n[[watch]]\nname = "long"\nfor = "2h"\n\n[[wach]]\nname = "typo"\n'
    entries, problems = parse_array(document, "watch", Watch, path=PATH)
    assert [(entry.value.name, entry.line, entry.lines) for entry in entries] == [("good", 1, {"name": 2})]
    assert sorted(str(problem).partition(": ")[0].rpartition(":")[2] for problem in problems) == ["11", "4", "5", "9"]
