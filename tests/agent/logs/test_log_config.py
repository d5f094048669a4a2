from dataclasses import dataclass
from pathlib import Path

import pytest
from watchdesk_agent.logs import LogConfig, check_sources
from watchdesk_agent.logs.config import StartAt
from watchdesk_agent.logs.parse import Format
from watchdesk_agent.logs.severity import Severity
from watchdesk_proto.settings import ConfigError, parse, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    log: tuple[LogConfig, ...] = setting((), help="log sources", check=check_sources)


def read(document: str) -> Root:
    return parse(document, Root, path=Path("agent.toml"))


def test_a_source_needs_only_a_name_and_files() -> None:
    (source,) = read('[[log]]\nname = "web"\nfiles = ["/var/log/nginx/error.log"]').log
    assert (source.severity, source.format, source.start_at) == (Severity.ERROR, Format.AUTO, StartAt.END)
    assert (source.max_lines_per_minute, source.max_entry, source.mask) == (600, 16 * 1024, ())


def test_all_keys_are_read() -> None:
    (source,) = read(
        '[[log]]\nname = "a"\nfiles = ["/a/*.log"]\nseverity = "warning"\nformat = "json"\nstart_at = "beginning"\n'
        'max_lines_per_minute = 5\nmax_entry = "4KiB"\nmask = ["x+"]'
    ).log
    assert (source.severity, source.format, source.start_at) == (Severity.WARNING, Format.JSON, StartAt.BEGINNING)
    assert (source.max_lines_per_minute, source.max_entry, source.mask) == (5, 4096, ("x+",))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('name = "two words"', "may hold letters"),
        ("files = []", "names no file"),
        ('files = ["var/log/a.log"]', "is not absolute"),
        ('severity = "debug"', "must be one of"),
        ('severity = "loud"', "must be one of"),
        ('format = "xml"', "must be one of"),
        ("max_lines_per_minute = 0", "must be more than 0"),
        ('max_entry = "1GiB"', "must be between"),
        ('mask = ["("]', "is not a regular expression"),
        ('start = "end"', "is not a known key; did you mean 'start_at'?"),
    ],
)
def test_a_wrong_key_is_told_with_its_remedy(line: str, complaint: str) -> None:
    key = line.split(maxsplit=1)[0]
    keys = {"name": 'name = "a"', "files": 'files = ["/a.log"]'} | {key: line}
    with pytest.raises(ConfigError, match=f"(?s)agent.toml:\\d+: log.*{key}.*{complaint}".replace("?", r"\?").replace(r"(\?s)", "(?s)")):
        read("[[log]]\n" + "\n".join(keys.values()))


def test_two_sources_of_one_name_are_refused() -> None:
    source = '[[log]]\nname = "a"\nfiles = ["/a.log"]\n'
    with pytest.raises(ConfigError, match="two sources named 'a'"):
        read(source * 2)
