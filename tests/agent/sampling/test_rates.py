from hypothesis import given
from hypothesis import strategies as st
from watchdesk_agent.sampling.rates import increase, per_second, ratio

counts = st.integers(0, 2**64)


@given(now=counts, before=st.none() | counts, elapsed_s=st.floats(-10, 10))
def test_a_rate_is_never_negative_and_never_made_up(now: int, before: int | None, elapsed_s: float) -> None:
    rate = per_second(now, before, elapsed_s)
    assert rate is None or rate >= 0
    assert (rate is None) == (before is None or now < before or elapsed_s <= 0)


def test_a_ratio_of_nothing_is_unknown() -> None:
    assert (ratio(1, 0), ratio(None, 5), ratio(5, None), ratio(1, 4)) == (None, None, None, 0.25)


def test_quotients_are_rounded_to_what_a_reader_can_use() -> None:
    assert ratio(1, 3) == 0.33333
    assert per_second(1000, 0, 1.0003) == 999.7
    assert per_second(1000, 0, 1.0003, digits=5) == 999.70009


def test_a_counter_that_stands_still_grew_by_nothing() -> None:
    assert increase(5, 5) == 0
