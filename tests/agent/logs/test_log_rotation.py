import pytest
from watchdesk_agent.logs.rotation import is_compressed_name, is_rotated_name, rotated_turn


@pytest.mark.parametrize(
    ("base", "oldest_first"),
    [
        ("app.log", ["app.log.10", "app.log.2", "app.log.1"]),
        ("app.log", ["app.log-20261122", "app.log-20261123", "app.log-20261124"]),
        ("app.log", ["app.log.2026-11-22", "app.log.2026-11-23"]),
        ("app.log", ["app-20261123.log", "app-20261124.log"]),
        ("app.log", ["app.log-1795525200", "app.log-1795528800"]),
        ("syslog", ["syslog.2", "syslog.1"]),
    ],
)
def test_rotated_names_are_ordered_by_when_they_were_written(base: str, oldest_first: list[str]) -> None:
    turns = [rotated_turn(name, base=base) for name in oldest_first]
    assert None not in turns
    assert sorted(turns, key=lambda turn: turn or pytest.fail()) == turns


@pytest.mark.parametrize("name", ["app.log", "app.log.gz", "app.log.bak", "other.log.1", "app.log1", "app.log.1.gz", "application.log"])
def test_other_names_are_not_rotated_ones(name: str) -> None:
    assert rotated_turn(name, base="app.log") is None


def test_compressed_names_are_rotated_but_have_no_turn() -> None:
    assert is_rotated_name("app.log.2.gz", base="app.log")
    assert is_compressed_name("app.log.2.gz")
    assert not is_compressed_name("app.log.2")
