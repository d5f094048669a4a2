"""Rules as people write them: what is taken, and how what is wrong is answered."""

from pathlib import Path

import pytest
from watchdesk_collector.alerting.rule_file import load_rules
from watchdesk_collector.alerting.rules import Rule
from watchdesk_collector.alerting.wording import duration
from watchdesk_proto.catalogue import builtin
from watchdesk_proto.settings import ConfigError

GOOD = """
[[rule]]
name = "disk-full"
measurement = "disk"
where = "filesystem not in ('tmpfs', \\"overlay\\") and total_bytes >= 1GiB"
when = "used_ratio > 90% and not (available_bytes > 500MiB)"
clear = "used_ratio < 85%"
for = "5m"
severity = "critical"
summary = "{host}: {mount} is {value} full, {available_bytes} left of {{all}}"
remedy = "Delete
 something."
runbook = "https://wiki.example.org/disk"
""".replace('"Delete\n something."', '"""Delete\n something."""')


def check(tmp_path: Path, document: str, *, builtin_rules: bool = False) -> tuple[Rule, ...]:
    path = tmp_path / "rules.toml"
    path.write_text(document, encoding="utf-8")
    return load_rules([path], builtin(), builtin=builtin_rules)


def complaints(tmp_path: Path, document: str) -> list[str]:
    """Each as `line: message`."""
    with pytest.raises(ConfigError) as raised:
        check(tmp_path, document)
    return [f"{problem.line}: {problem.message}" for problem in raised.value.problems]


def rule(**keys: str) -> str:
    written = {"name": '"r"', "measurement": '"disk"', "when": '"used_ratio > 1"', "summary": '"s"'} | keys
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in written.items() if value)


def test_a_rule_is_read(tmp_path: Path) -> None:
    (read,) = check(tmp_path, GOOD)
    assert (read.name, read.severity, read.hold.us, read.hold.samples) == ("disk-full", "critical", 300_000_000, 1)
    assert read.condition is not None
    assert read.condition.by == ["mount", "device", "filesystem"]
    assert read.condition.facts == ["available_bytes"]
    assert read.fires_when == "used_ratio > 90% and not (available_bytes > 500MiB)"
    assert read.remedy == "Delete something."
    text = read.summarise(host="web1", labels={"mount": "/", "device": "d", "filesystem": "f"}, value=0.931, facts={"available_bytes": 5e8})
    assert text == "web1: / is 93.1 % full, 477 MiB left of {all}"


def test_the_default_rules_fit_the_built_in_catalogue() -> None:
    rules = load_rules([], builtin())
    assert len(rules) >= 15
    assert all(one.summary and one.remedy for one in rules)
    assert [one.name for one in rules if one.kind == "silent"] == ["host-silent"]


def test_a_rule_takes_the_place_of_a_default_rule_of_its_name(tmp_path: Path) -> None:
    document = (
        rule(name='"disk-filling"', when='"used_ratio > 70%"')
        + '[[rule]]\nname = "load"\nenabled = false\n[[rule]]\nname = "cpu-busy"\nenabled = false\n'
    )
    rules = {one.name: one for one in check(tmp_path, document, builtin_rules=True)}
    assert rules["disk-filling"].fires_when == "used_ratio > 70%"
    assert "cpu-busy" not in rules
    assert "host-silent" in rules


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    document = """
[[rule]]
name = "Disk Full"
measurement = "disk"
when = "used_ratio > 90%"
summary = "s"

[[rule]]
name = "a"
mesurement = "disk"
for = "5 minutes"
severity = "bad"

[[rule]]
name = "b"
measurement = "dsk"
when = "used_ratio > 90%"
summary = "s"

[[rule]]
name = "c"
measurement = "disk"
by = ["mount"]
when = "used_rato > 90% and mount > 5"
where = "filesystm = 'ext4'"
clear = "avg(used_ratio) < 80%"
summary = "{mont} is full"
"""
    found = complaints(tmp_path, document)
    assert [complaint.split(":")[0] for complaint in found] == ["3", "10", "11", "12", "16", "23", "23", "24", "24", "25", "26", "27"]
    text = "\n".join(found)
    assert "did you mean 'measurement'?" in text
    assert "16: rule 'b': measurement names measurement 'dsk', which does not exist; did you mean 'disk'?" in text
    assert "24: rule 'c': when names disk column 'used_rato', which does not exist; did you mean 'used_ratio'?" in text
    assert "24: rule 'c': when has a number at '>' where a text should stand" in text
    assert 'clear has the aggregate avg() but the rule has no `over`; add for example over = "1m"' in text
    assert "27: rule 'c': summary names placeholder 'mont', which does not exist; did you mean 'mount'?" in text


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("mount ~ '^/var'", "must not use '~', which is read differently by different databases; write regexp_matches(column, 'pattern')"),
        ("mount !~ '^/var'", "must not use '!~'"),
        ("mount ~* 'x'", "must not use '~*'"),
        ("used_ratio >", "ends where a column, a number, a text in quotes or a function should stand"),
        ("used_ratio > > 1", "has '>' where a column"),
        ("used_ratio 1", "has '1' where it should end or go on"),
        ("(used_ratio > 1", "ends where ')' should stand"),
        ("used_ratio > 1; DROP TABLE disk", "cannot be read from '; DROP TABLE disk'"),
        ("used_ratio > 90x", "has '90x', which is not a number; write it like 0.9, 90%, 5m or 500MiB"),
        ("used_ratio not 1", "has 'not' after a value"),
        ("used_ratio is 1", "has '1' where 'null' should stand"),
        ("used_ratio", "compares nothing|is a number as a whole; it must be true or false"),
        ("read_text('/etc/passwd') = 'x'", "names function 'read_text', which does not exist"),
        ("regexp_matches(mount) = 1", "gives regexp_matches() 1 values; it takes 2"),
        ("used_ratio in ('a')", "has a text at 'in' where a number should stand"),
        ("used_ratio + mount > 1", "has a text at '+' where a number should stand"),
        ("used_ratio > 1 and 5", "has a number at 'and' where true or false should stand"),
        ("regexp_matches(mount, 'x')", "compares nothing; write something like used_ratio > 90%"),
    ],
)
def test_a_condition_that_makes_no_sense_is_answered_with_what_should_stand_there(tmp_path: Path, written: str, complaint: str) -> None:
    (found,) = complaints(tmp_path, rule(when=f'"{written}"'))
    assert found.startswith("4: ")
    assert any(part in found for part in complaint.split("|"))


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"over": '"1m"'}, "has 'used_ratio' outside an aggregate; with `over`, write avg(used_ratio)"),
        ({"over": '"1m"', "when": '"avg(max(used_ratio)) > 1"'}, "has max() inside another aggregate"),
        ({"over": '"1m"', "when": '"count(used_ratio) > 1"'}, "write count()"),
        ({"over": '"1m"', "when": '"increase(used_ratio) > 1"'}, "its columns end in _total"),
        ({"over": '"1m"', "when": '"avg(mount) > 1"'}, "has a text at 'avg' where a number should stand"),
        ({"by": '["host"]'}, "by leaves out mount, device, filesystem, so several samples meet"),
        ({"by": '["host", "mout"]', "over": '"1m"', "when": '"max(used_ratio) > 1"'}, "did you mean 'mount'?"),
        ({"by": '["mount"]', "over": '"1m"', "when": '"max(used_ratio) > 1"'}, 'by must hold "host"'),
        ({"kind": '"silent"'}, "measurement has no meaning in a rule of kind silent"),
        ({"when": ""}, "when is missing; a rule of kind threshold needs it"),
        ({"summary": ""}, "summary is missing"),
        ({"summary": '"{value:.2f}"'}, "braces hold just the name of a column"),
        ({"summary": '"{value"'}, "write {{ for a brace"),
        ({"runbook": '"wiki/disk"'}, "must be a link that starts with https://"),
        ({"over": '"0s"', "when": '"max(used_ratio) > 1"'}, "over must be more than zero"),
        ({"for": '"3 sample"'}, ""),
        ({"for": '"three samples"'}, 'for is \'three samples\'; write a time like "5m" or a number like "2 samples"'),
    ],
)
def test_keys_that_do_not_go_together_are_told(tmp_path: Path, keys: dict[str, str], complaint: str) -> None:
    if complaint:
        assert complaint in "\n".join(complaints(tmp_path, rule(**keys)))
    else:
        check(tmp_path, rule(**keys))


def test_two_rules_of_one_name_are_told(tmp_path: Path) -> None:
    assert complaints(tmp_path, rule() + rule()) == ["6: there is a rule 'r' already; give this one another name"]


def test_a_file_that_is_not_there_and_a_wrong_one_are_told_together(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[[rule]\n")
    with pytest.raises(ConfigError) as raised:
        load_rules([tmp_path / "none.toml", wrong], builtin())
    assert "none.toml: cannot be read: No such file or directory; check the path" in str(raised.value)
    assert "wrong.toml:1: is not valid TOML" in str(raised.value)


def test_docs_name_every_key_of_a_rule_and_every_default_rule() -> None:
    text = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
    keys = ("name", "enabled", "kind", "severity", "measurement", "where", "by", "over", "when", "clear", "for", "no_data", "silent_for")
    for key in (*keys, "summary", "remedy", "runbook"):
        assert f"| `{key}` |" in text
    for one in load_rules([], builtin()):
        hold = f"{one.hold.samples} samples" if one.hold.samples > 1 else duration(one.hold.us / 1_000_000) if one.hold.us else "at once"
        assert f"| `{one.name}` | {one.severity} | {one.fires_when} | {hold} | {one.clears_when} |\n" in text
