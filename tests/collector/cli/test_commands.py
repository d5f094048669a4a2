import json
import os
import re
from pathlib import Path

import pytest
from collector.cli.conftest import Served, Watchdesk, run
from watchdesk_collector.cli.main import COMMANDS, make_parser


async def test_sql_prints_a_table_with_numbers_to_the_right(watchdesk: Watchdesk) -> None:
    ended = await watchdesk("sql", "SELECT host, count(*) AS rows, NULL AS nothing FROM cpu GROUP BY host ORDER BY host")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == ["host  rows  nothing", "db1   7260     NULL", "web1  7260     NULL"]


async def test_sql_prints_csv_and_json_as_the_collector_wrote_them(watchdesk: Watchdesk) -> None:
    assert (await watchdesk("sql", "SELECT 1 AS a", "--format", "csv")).out == "a\n1\n"
    assert json.loads((await watchdesk("sql", "SELECT 1 AS a", "--format", "json")).out)["rows"] == [[1]]


async def test_sql_reads_a_query_from_a_file(watchdesk: Watchdesk, tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text("SELECT 7 AS a;\n")
    assert (await watchdesk("sql", "--file", str(tmp_path / "query.sql"), "--format", "csv")).out == "a\n7\n"


async def test_sql_shows_an_error_with_the_place_in_the_query(watchdesk: Watchdesk) -> None:
    ended = await watchdesk("sql", "SELECT host,\n  busy_rato FROM cpu")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        'watchdesk: there is no column "busy_rato"; did you mean busy_ratio?\n  line 2, column 3:\n      busy_rato FROM cpu\n      ^\n'
    )


async def test_sql_says_that_there_are_more_rows(watchdesk: Watchdesk) -> None:
    ended = await watchdesk("sql", "SELECT * FROM range(100)", "--max-rows", "3", "--format", "csv")
    assert ended.out == "range\n0\n1\n2\n"
    assert ended.err == "watchdesk: these are the first 3 rows, there are more; --max-rows asks for more\n"


async def test_sql_keeps_to_the_time_limit_asked_for(watchdesk: Watchdesk) -> None:
    ended = await watchdesk("sql", "SELECT count(*) FROM range(1000000) a, range(1000000) b", "--timeout", "500ms")
    assert ended.code == 1
    assert ended.err.startswith("watchdesk: the query was stopped after 0.5 s")


async def test_what_is_printed_cannot_steer_the_terminal(watchdesk: Watchdesk) -> None:
    ended = await watchdesk("sql", "SELECT 'a' || chr(27) || '[31m' || chr(10) || 'b' AS text")
    assert ended.out == "text\na [31m b\n"


@pytest.mark.parametrize("arguments", [(), ("SELECT 1", "--file", "-")])
async def test_sql_needs_one_query(watchdesk: Watchdesk, arguments: tuple[str, ...]) -> None:
    ended = await watchdesk("sql", *arguments)
    assert (ended.code, ended.err) == (2, "watchdesk: give either a query in quotes or --file\n")


async def test_a_clock_that_is_off_is_listed(watchdesk: Watchdesk, served: Served) -> None:
    (db1,) = [host for host in served.deps.hosts.list() if host.name == "db1"]
    served.deps.hosts.note_clock(db1.host_id, -12.0)
    lines = {line.split()[0]: line for line in (await watchdesk("hosts", "list")).out.splitlines()}
    assert "-12 s" in lines["db1"]
    assert not re.search(r"[+-]\d+ s", lines["web1"])


async def test_hosts_are_listed(watchdesk: Watchdesk) -> None:
    lines = (await watchdesk("hosts", "list")).out.splitlines()
    assert lines[0].split()[:3] == ["host", "state", "seen"]
    assert sorted(line.split()[0] for line in lines[1:]) == ["db1", "web1"]
    assert {host["host"] for host in json.loads((await watchdesk("hosts", "list", "--format", "json")).out)} == {"db1", "web1"}


async def test_a_host_is_removed_and_its_name_is_free(watchdesk: Watchdesk, served: Served) -> None:
    assert (await watchdesk("hosts", "remove", "db1")).out.startswith("db1 is not watched any more")
    assert [host.name for host in served.deps.hosts.list()] == ["web1"]
    ended = await watchdesk("hosts", "remove", "web2")
    assert (ended.code, ended.err) == (1, "watchdesk: there is no host 'web2'; did you mean 'web1'?\n")


async def test_a_silence_is_made_listed_and_ended(watchdesk: Watchdesk) -> None:
    made = await watchdesk("silence", "web1", "--for", "2h", "--reason", "new disk")
    assert re.fullmatch(r"host web1 is silenced until \S+Z; `watchdesk unsilence 1` ends it early\n", made.out)
    assert (await watchdesk("silence", "disk-full", "--for", "1d")).out.startswith("rule disk-full is silenced until ")
    lines = (await watchdesk("silences")).out.splitlines()
    assert [line.split()[:2] for line in lines] == [["id", "host"], ["1", "web1"], ["2", "disk-full"]]
    assert (await watchdesk("unsilence", "1")).out == "host web1 is not silenced any more\n"
    assert (await watchdesk("unsilence", "1")).err == "watchdesk: there is no silence 1 in force; `watchdesk silences` lists them\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("silence", "webb1", "--for", "2h"), "there is neither a host nor a rule 'webb1'; did you mean 'web1'?"),
        (("silence", "web1", "--for", "soon"), '\'soon\' is not a duration; write it like "10s", "5m", "2h" or "90d"'),
    ],
)
async def test_a_wrong_silence_is_explained(watchdesk: Watchdesk, arguments: tuple[str, ...], said: str) -> None:
    ended = await watchdesk(*arguments)
    assert (ended.code, ended.err) == (1, f"watchdesk: {said}\n")


async def test_alerts_says_when_nothing_fires(watchdesk: Watchdesk) -> None:
    assert (await watchdesk("alerts")).out == "nothing fires; --all shows what was resolved last\n"
    assert json.loads((await watchdesk("alerts", "--all", "--format", "json")).out) == []


async def test_status_is_one_line(watchdesk: Watchdesk) -> None:
    ended = await watchdesk("status")
    assert ended.code == 0
    assert re.fullmatch(r"well: newest batch \d+ (s|min) ago; 2 hosts, 0 alerts firing; version 0\.1\.0, up \d+ s\n", ended.out)


async def test_notify_test_tells_of_each_receiver(watchdesk: Watchdesk, served: Served) -> None:
    assert (await watchdesk("notify", "test")).out == "email.ops: delivered\n"
    served.deps.notify_test.outcomes["webhook.chat"] = "it answered 500"  # type: ignore[attr-defined]
    ended = await watchdesk("notify", "test")
    assert (ended.code, ended.out) == (1, "email.ops: delivered\nwebhook.chat: not delivered: it answered 500\n")
    assert "there is no receiver 'nobody'" in (await watchdesk("notify", "test", "nobody")).err


def test_rule_check_needs_no_collector(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nname = "busy"\nseverity = "warning"\nmeasurement = "cpu"\nwhen = "busy_ratio > 0.9"\nfor = "5m"\nsummary = "{host}"\n'
    )
    assert run("rule", "check", str(rules)).code == 0
    rules.write_text(rules.read_text().replace("busy_ratio", "bussy_ratio"))
    ended = run("rule", "check", str(rules))
    assert ended.code == 2
    assert "busy_ratio" in ended.err
    assert f"{rules}:5" in ended.err


async def test_a_wrong_token_is_told_apart_from_one_that_cannot_be_read(watchdesk: Watchdesk, served: Served) -> None:
    served.token_file.write_text("wrong")
    ended = await watchdesk("sql", "SELECT 1")
    assert ended.code == 1
    assert ended.err.startswith(f"watchdesk: the collector at {served.url} does not take the token in {served.token_file}")
    served.token_file.unlink()
    ended = await watchdesk("silences")
    assert ended.err.startswith(f"watchdesk: the token file {served.token_file} cannot be read (No such file or directory)")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
async def test_a_token_file_of_another_user_is_told_with_the_remedy(watchdesk: Watchdesk, served: Served) -> None:
    served.token_file.chmod(0)
    ended = await watchdesk("sql", "SELECT 1")
    assert "may not be read by this user; run the command as root" in ended.err


def test_a_collector_that_is_not_there_is_named_with_the_remedy(unused_tcp_port: int) -> None:
    ended = run("status", "--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert ended.code == 1
    assert ended.err == (
        f"watchdesk: no collector answers at http://127.0.0.1:{unused_tcp_port} (Connection refused); "
        "start one with `watchdesk-collector run` or `watchdesk demo`, or name another with --url\n"
    )


def test_version_is_told() -> None:
    assert run("version").out == "watchdesk 0.1.0\n"
    assert run("--version").out == "0.1.0\n"


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("silence", "web1")])
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == 2


def test_every_command_describes_itself() -> None:
    assert make_parser().format_help().count("\n    ") >= len(COMMANDS)
