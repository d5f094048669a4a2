import json
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdesk_agent.logs.parse import Format, Line, Moment, parse_line
from watchdesk_agent.logs.severity import Severity

NOW_US = 1_795_525_205_000_000  # 2026-11-24 13:00:05 UTC
SECOND_US = 1_795_525_200_000_000


def parse(text: str, form: Format = Format.AUTO) -> Line:
    return parse_line(text, form=form, moment=Moment(NOW_US, UTC))


@pytest.mark.parametrize(
    ("text", "severity", "unit", "message"),
    [
        ("<11>Nov 24 13:00:00 web1 app[12]: it broke", Severity.ERROR, "app", "it broke"),
        ("<14>Nov 24 13:00:00 web1 app: ERROR in the text, info by its priority", Severity.INFO, "app", "ERROR in the text, info by its priority"),
        ("<34>1 2026-11-24T13:00:00.000Z web1 su - ID47 - \ufeff'su root' failed", Severity.CRITICAL, "su", "'su root' failed"),
        (r'<165>1 2026-11-24T13:00:00Z h app 12 - [a@1 k="v\"] x"][b@1] note', Severity.INFO, "app", "note"),
        ("<27>1 2026-11-24T13:00:00Z - - - - -", Severity.ERROR, None, ""),
        ("Nov 24 13:00:00 web1 sshd[12]: error: kex_exchange_identification", Severity.ERROR, "sshd", "error: kex_exchange_identification"),
        ("Nov 24 13:00:00 web1 kernel: [ 1.2] Out of memory: Killed process 1", Severity.ERROR, "kernel", "[ 1.2] Out of memory: Killed process 1"),
        ("2026-11-24T13:00:00.000000+00:00 web1 postfix/smtpd[1]: fatal: no SASL", Severity.CRITICAL, "postfix/smtpd", "fatal: no SASL"),
        ("Nov 24 13:00:00 web1 cron[1]: (root) CMD (x)", None, "cron", "(root) CMD (x)"),
    ],
)
def test_syslog_lines_tell_time_unit_and_severity(text: str, severity: Severity | None, unit: str | None, message: str) -> None:
    line = parse(text)
    assert (line.severity, line.unit, line.message, line.at_us) == (severity, unit, message, SECOND_US)


def test_a_priority_without_a_header_is_believed() -> None:
    assert parse("<3>disk is gone") == Line(message="disk is gone", severity=Severity.ERROR)
    assert parse("<3>app[7]: disk is gone") == Line(message="disk is gone", severity=Severity.ERROR, unit="app", stream="app[7]")


@pytest.mark.parametrize(
    ("text", "severity", "message"),
    [
        ("2026-11-24T13:00:00Z ERROR app: it broke", Severity.ERROR, "ERROR app: it broke"),
        ("2026-11-24 13:00:00,000 worker ERROR: it broke", Severity.ERROR, "worker ERROR: it broke"),
        ("2026/11/24 13:00:00 [error] 12#12: *7 upstream", Severity.ERROR, "[error] 12#12: *7 upstream"),
        ("[Tue Nov 24 13:00:00.000000 2026] [core:error] [pid 3] AH1", Severity.ERROR, "[core:error] [pid 3] AH1"),
        ("E1124 13:00:00.000000       1 server.go:12] boom", Severity.ERROR, "1 server.go:12] boom"),
        ("2026-11-24 13:00:00 nothing of note", None, "nothing of note"),
    ],
)
def test_plain_lines_tell_time_and_severity(text: str, severity: Severity | None, message: str) -> None:
    line = parse(text)
    assert (line.severity, line.message.strip(), line.at_us, line.unit) == (severity, message, SECOND_US, None)


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"level": "error"}, Severity.ERROR),
        ({"level": 50}, Severity.ERROR),
        ({"level": 30}, Severity.INFO),
        ({"levelname": "WARNING"}, Severity.WARNING),
        ({"levelno": 40}, Severity.ERROR),
        ({"severity": "CRITICAL"}, Severity.CRITICAL),
        ({"severity": 3}, Severity.ERROR),
        ({"PRIORITY": "3"}, Severity.ERROR),
        ({"log.level": "fatal"}, Severity.CRITICAL),
        ({"log": {"level": "error"}}, Severity.ERROR),
        ({"lvl": "dbug"}, Severity.DEBUG),
        ({"level": True}, None),
        ({"level": None, "severity": "error"}, Severity.ERROR),
        ({"level": "9" * 5000}, None),
        ({}, None),
    ],
)
def test_json_lines_tell_their_severity(fields: dict[str, object], severity: Severity | None) -> None:
    assert parse(json.dumps({"msg": "text", **fields})).severity == severity


def test_json_lines_tell_time_unit_message_and_trace() -> None:
    line = parse(
        json.dumps(
            {"ts": "2026-11-24T13:00:00Z", "level": "error", "logger": "app.db", "event": "query failed", "exception": "Traceback…\nValueError: x"}
        )
    )
    assert line == Line(message="query failed\nTraceback…\nValueError: x", severity=Severity.ERROR, at_us=SECOND_US, unit="app.db")
    assert parse('{"time":1795525200000,"msg":"x"}').at_us == SECOND_US


def test_what_docker_wraps_is_read_by_its_text() -> None:
    line = parse(json.dumps({"log": "ERROR it broke\n", "stream": "stderr", "time": "2026-11-24T13:00:00.000000000Z"}))
    assert line == Line(message="ERROR it broke", severity=Severity.ERROR, at_us=SECOND_US, stream="stderr")


@pytest.mark.parametrize("text", ['{"level":"error","msg":"cut of', "{" * 5000, "[1]", '{"a":' + "1" * 5000 + "}"])
def test_broken_json_is_plain_text(text: str) -> None:
    assert parse(text).message == text


def test_a_fixed_format_is_not_guessed_around() -> None:
    text = '{"level":"error","msg":"x"}'
    assert parse(text, Format.JSON).message == "x"
    assert parse(text, Format.PLAIN).message == text
    assert parse("Nov 24 13:00:00 web1 app: x", Format.PLAIN).message == "web1 app: x"


@given(st.text())
def test_every_text_is_a_line(text: str) -> None:
    for form in Format:
        assert isinstance(parse(text, form).message, str)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_any_json_value_under_the_known_keys_is_a_line(value: object) -> None:
    for key in ("level", "severity", "log", "msg", "time", "logger", "exception", "stream"):
        assert isinstance(parse(json.dumps({key: value})).message, str)
