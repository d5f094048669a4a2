import pytest
from watchdesk_agent.logs.severity import Severity, severity_of_bunyan, severity_of_python, severity_of_syslog, severity_of_text, severity_of_word

DEBUG, INFO, WARNING, ERROR, CRITICAL = Severity


def test_severities_are_ordered_from_debug_to_critical() -> None:
    assert [severity.rank for severity in (DEBUG, INFO, WARNING, ERROR, CRITICAL)] == [0, 1, 2, 3, 4]
    assert CRITICAL.at_least(ERROR)
    assert ERROR.at_least(ERROR)
    assert not WARNING.at_least(ERROR)


@pytest.mark.parametrize(
    ("message", "severity"),
    [
        ("ERROR root: it broke", ERROR),
        ("ERROR:root:it broke", ERROR),
        ("[error] 12#12: *7 connect() failed", ERROR),
        ("[core:error] [pid 3] AH00037: Symbolic link not allowed", ERROR),
        ("0 [ERROR] [MY-010119] [Server] Aborting", ERROR),
        ("0 [Warning] [MY-011068] deprecated", WARNING),
        ("0 [Note] ready for connections", INFO),
        ("UTC [123] FATAL:  password authentication failed", CRITICAL),
        ('UTC [123] ERROR:  relation "x" does not exist', ERROR),
        ("UTC [123] LOG:  checkpoint starting", INFO),
        ("UTC [123] STATEMENT:  SELECT 1 AS ERROR", INFO),
        ("error: maximum authentication attempts exceeded", ERROR),
        ("fatal: unable to access", CRITICAL),
        ("panic: runtime error: index out of range", CRITICAL),
        ("level=error msg=broken", ERROR),
        ('time="…" level=warning msg="slow ERROR page"', WARNING),
        ("ts=1 lvl=eror msg=x", None),
        ("E1124 13:00:00.123456   1 server.go:12] boom", ERROR),
        ("W1124 13:00:00.123456   1 server.go:12] hm", WARNING),
        ("I1124 13:00:00.123456   1 server.go:12] ERROR is only a word here", INFO),
        ("INFO handled an ERROR response", INFO),
        ("SEVERE: Servlet threw exception", ERROR),
        ("CRITICAL disk", CRITICAL),
        ("WARN  [main] slow", WARNING),
        ("<warning> network", WARNING),
        ("ValueError: x", ERROR),
        ("java.lang.IllegalStateException: x", ERROR),
        ('Exception in thread "main" java.lang.OutOfMemoryError: heap', ERROR),
        ("Out of memory: Killed process 12 (java)", ERROR),
        ("[ 12.345678] Out of memory: Killed process 12 (java)", ERROR),
        ("app[12]: segfault at 0 ip 0", ERROR),
        ("Failed password for root from 10.0.0.1", None),
        ("errors=0 done", None),
        ("GET /error/ERROR.html 200", None),
        ("no error was found", None),
        ("ERROR_COUNT=5", None),
        ("ALERT the reader", None),
        ("", None),
    ],
)
def test_text_states_its_severity(message: str, severity: Severity | None) -> None:
    assert severity_of_text(message) == severity


def test_a_level_deep_in_the_message_is_not_its_level() -> None:
    assert severity_of_text("x" * 200 + " ERROR") is None


@pytest.mark.parametrize(
    ("word", "severity"), [("err", ERROR), ("Emerg", CRITICAL), ("NOTICE", INFO), ("warn", WARNING), ("trace", DEBUG), ("blue", None)]
)
def test_words_of_all_dialects_are_known(word: str, severity: Severity | None) -> None:
    assert severity_of_word(word) == severity


def test_numbers_mean_what_their_dialect_says() -> None:
    assert [severity_of_syslog(code) for code in range(8)] == [CRITICAL, CRITICAL, CRITICAL, ERROR, WARNING, INFO, INFO, DEBUG]
    assert [severity_of_bunyan(level) for level in (10, 20, 30, 40, 50, 60)] == [DEBUG, DEBUG, INFO, WARNING, ERROR, CRITICAL]
    assert [severity_of_python(level) for level in (10, 20, 30, 40, 50)] == [DEBUG, INFO, WARNING, ERROR, CRITICAL]
    assert [severity_of_syslog(9), severity_of_bunyan(3), severity_of_python(0)] == [None, None, None]
