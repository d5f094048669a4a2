from hypothesis import given
from hypothesis import strategies as st
from watchdesk_agent.logs.shorten import shorten


def test_a_short_message_is_left_alone() -> None:
    assert shorten("ERROR x", max_bytes=256) == ("ERROR x", False)


def test_a_long_line_keeps_its_start_and_says_that_it_was_cut() -> None:
    message, was_cut = shorten("ERROR " + "x" * 1000, max_bytes=256)
    assert was_cut
    assert message.startswith("ERROR xxx")
    assert message.endswith("… [1006 bytes, cut] …")


def test_a_long_traceback_keeps_its_headline_and_its_innermost_frames() -> None:
    message, _ = shorten("ValueError: x\n" + "  File outer\n" * 100 + "  File innermost", max_bytes=400)
    assert message.startswith("ValueError: x\n")
    assert "bytes, cut]" in message
    assert message.endswith("  File innermost")


@given(st.text(max_size=2000), st.integers(min_value=256, max_value=1000))
def test_no_message_is_over_the_bound(text: str, max_bytes: int) -> None:
    message, was_cut = shorten(text, max_bytes=max_bytes)
    assert len(message.encode()) <= max_bytes
    assert was_cut == (len(text.encode()) > max_bytes)
