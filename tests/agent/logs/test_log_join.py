from watchdesk_agent.logs.join import MAX_LINES, MAX_LINES_BETWEEN, Boundary, Entry, Joiner
from watchdesk_agent.logs.parse import Line
from watchdesk_agent.logs.severity import Severity

TRACEBACK = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "    g()", "ValueError: boom"]


def join(*lines: Line | str, floor: Severity = Severity.ERROR) -> list[Entry]:
    joiner = Joiner(floor)
    entries = [entry for line in lines for entry in joiner.add(Line(message=line) if isinstance(line, str) else line)]
    return entries + joiner.flush()


def error(message: str, *, at_us: int | None = 1, stream: str = "") -> Line:
    return Line(message=message, severity=Severity.ERROR, at_us=at_us, stream=stream)


def messages(entries: list[Entry]) -> list[str]:
    return [entry.message for entry in entries]


def test_a_traceback_is_one_entry_with_its_last_line_as_the_headline() -> None:
    (entry,) = join(*TRACEBACK)
    assert entry.message == "\n".join([TRACEBACK[-1], *TRACEBACK[:-1]])
    assert (entry.severity, entry.lines) == (Severity.ERROR, 4)


def test_the_logged_line_before_a_traceback_belongs_to_it() -> None:
    (entry,) = join(error("ERROR app: job failed", at_us=7), *TRACEBACK)
    assert entry.message.split("\n")[:2] == ["ValueError: boom", "ERROR app: job failed"]
    assert (entry.at_us, entry.lines) == (7, 5)


def test_chained_tracebacks_are_one_entry() -> None:
    chain = [*TRACEBACK, "", "During handling of the above exception, another exception occurred:", "", *TRACEBACK[:-1], "KeyError: 'x'"]
    (entry,) = join(*chain)
    assert entry.message.startswith("KeyError: 'x'\n")
    assert "ValueError: boom" in entry.message
    assert entry.lines == len(chain)


def test_two_tracebacks_without_a_chain_are_two_entries() -> None:
    assert len(join(*TRACEBACK, *TRACEBACK)) == 2


def test_an_exception_group_is_one_entry_whose_headline_says_something() -> None:
    (entry,) = join(
        "  + Exception Group Traceback (most recent call last):",
        '  |   File "a.py", line 1',
        "  | ExceptionGroup: two (1 sub-exception)",
        "  +-+---------------- 1 ----------------",
        "    | ValueError: 1",
        "    +------------------------------------",
    )
    assert entry.message.startswith("ValueError: 1\n")


def test_a_traceback_under_a_warning_is_an_error() -> None:
    (entry,) = join(Line(message="WARNING slow", severity=Severity.WARNING), *TRACEBACK, floor=Severity.WARNING)
    assert entry.severity is Severity.ERROR


def test_another_threads_line_ends_a_traceback() -> None:
    entries = join(TRACEBACK[0], TRACEBACK[1], error("ERROR other: x"))
    assert messages(entries) == [f'File "a.py", line 1, in f\n{TRACEBACK[0]}', "ERROR other: x"]


def test_indented_lines_and_causes_continue_an_entry() -> None:
    (entry,) = join(error("ERROR java.lang.X: a"), "\tat com.example.A(A.java:1)", "Caused by: java.lang.Y: b", "\t... 5 more")
    assert entry.lines == 4
    assert entry.message.startswith("ERROR java.lang.X: a\n\tat com")


def test_indented_lines_after_an_unimportant_line_are_not_told() -> None:
    assert join(Line(message="INFO x", severity=Severity.INFO), "  more", "  and more") == []


def test_interleaved_streams_are_joined_apart() -> None:
    lines = [Line(message=text, stream=stream, at_us=1) for text in TRACEBACK for stream in ("a[1]", "b[2]")]
    assert [entry.lines for entry in join(*lines)] == [4, 4]


def test_a_stream_that_falls_silent_is_not_waited_for_without_end() -> None:
    joiner = Joiner(Severity.ERROR)
    joiner.add(error("ERROR x", stream="a[1]"))
    for _ in range(MAX_LINES_BETWEEN):
        assert joiner.add(Line(message="fine", stream="b[1]")) == []
    assert messages(joiner.add(Line(message="fine", stream="b[1]"))) == ["ERROR x"]
    assert joiner.boundary is Boundary.AFTER


def test_a_private_key_is_joined_so_that_it_can_be_masked_whole() -> None:
    key = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEpAIBAAKCAQEA", "base64==", "-----END RSA PRIVATE KEY-----"]
    entries = join(*key, "next", floor=Severity.INFO)
    assert messages(entries) == ["\n".join(key), "next"]


def test_an_entry_is_bounded() -> None:
    entries = join(error("ERROR x"), *["  more"] * (MAX_LINES + 50), floor=Severity.ERROR)
    assert entries[0].lines == MAX_LINES


def test_a_complete_traceback_in_one_line_is_not_waited_on() -> None:
    entries = join(error("failed\n" + "\n".join(TRACEBACK)), error("ERROR next"))
    assert [message.split("\n")[0] for message in messages(entries)] == ["ValueError: boom", "ERROR next"]


def test_unmarked_lines_count_as_info() -> None:
    assert messages(join("hello", "", "world", floor=Severity.INFO)) == ["hello", "world"]
    assert join("hello", floor=Severity.WARNING) == []
    assert join(Line(message="x", severity=Severity.DEBUG), floor=Severity.INFO) == []


def test_the_boundary_is_where_no_entry_is_half_read() -> None:
    joiner = Joiner(Severity.ERROR)
    seen = []
    for line in (Line(message="fine"), error("ERROR a"), Line(message="  more"), error("ERROR b"), Line(message="fine")):
        joiner.add(line)
        seen.append(joiner.boundary)
    assert seen == [Boundary.AFTER, Boundary.BEFORE, Boundary.NONE, Boundary.BEFORE, Boundary.AFTER]
