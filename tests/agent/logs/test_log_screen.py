import json

import pytest
from watchdesk_agent.logs.parse import Format, Moment, parse_line
from watchdesk_agent.logs.screen import Screen
from watchdesk_agent.logs.severity import Severity, severity_of_word

WORDS = [
    "err",
    "error",
    "severe",
    "failure",
    "crit",
    "critical",
    "fatal",
    "panic",
    "alert",
    "emerg",
    "emergency",
    "warn",
    "warning",
    "info",
    "notice",
    "debug",
    "trace",
]
FORMS = [
    "{} x",
    "[{}] x",
    "{}: x",
    "level={} x",
    '{{"level":"{}"}}',
    '{{"log":{{"level":"{}"}}}}',
    "E1124 13:00:00.123456 1 {}",
    "<3>1 2026-11-24T13:00:00Z h a - - - {}",
]
OTHERS = [
    *("W1124 13:00:00.123456 1 x", "F1124 13:00:00.123456 1 x", "I1124 13:00:00.123456 1 x"),
    *(f"<{priority}>Nov 24 13:00:00 h app: x" for priority in range(192)),
    *(
        json.dumps({key: value})
        for key in ("level", "lvl", "loglevel", "log_level", "@level", "log.level")
        for value in (*range(10, 101), "50", "60")
    ),
    *(json.dumps({"levelno": value}, separators=(",", ":")) for value in range(1, 101)),
    *(json.dumps({key: value}) for key in ("severity", "PRIORITY") for value in (*range(8), "3")),
    *("Out of memory: Killed process 1", "Kernel panic - not syncing", "BUG: unable to handle", "Oops: 0002", "app[1]: segfault at 0"),
    *("ValueError: x", "java.lang.IllegalStateException: x", "Uncaught TypeError: x", "Traceback (most recent call last):"),
]
LINES = [form.format(shape) for word in WORDS for shape in (word, word.upper(), word.title()) for form in FORMS] + OTHERS


@pytest.mark.parametrize("floor", list(Severity)[1:])
def test_the_screen_lets_through_all_that_the_parser_finds_at_or_above_the_floor(floor: Severity) -> None:
    screen = Screen(floor)
    for line in LINES:
        found = parse_line(line, form=Format.AUTO, moment=Moment(1_795_525_205_000_000)).severity
        if found is not None and found.at_least(floor):
            assert screen.passes_line(line.encode()), line
            assert screen.passes_block(b"fine\n" + line.encode() + b"\n"), line
            assert screen.passes_block(line.encode() + b"\n"), line


@pytest.mark.parametrize("floor", [Severity.WARNING, Severity.ERROR, Severity.CRITICAL])
def test_every_word_of_a_level_is_on_the_screen(floor: Severity) -> None:
    for word in WORDS:
        severity = severity_of_word(word)
        assert severity is not None
        assert not severity.at_least(floor) or Screen(floor).passes_line(word.encode())


def test_ordinary_lines_are_stopped_by_the_cheap_look() -> None:
    line = b"2026-11-24T13:00:00+01:00 web1 nginx[123]: 10.0.0.1 GET /index.html 200 took 12ms"
    assert not Screen(Severity.ERROR).passes_line(line)
    assert not Screen(Severity.ERROR).passes_block((line + b"\n") * 100)
    assert not Screen(Severity.ERROR).passes_line(b'{"level":30,"msg":"request completed"}')
    assert Screen(Severity.INFO).passes_line(line)
