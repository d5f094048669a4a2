from hypothesis import given
from hypothesis import strategies as st
from watchdesk_agent.probes.agenda import Agenda, next_slot_us, offset_us
from watchdesk_agent.probes.config import ProbeConfig, ProbeKind

SECOND = 1_000_000


def probe(name: str = "a", interval: float = 10.0) -> ProbeConfig:
    return ProbeConfig(name=name, kind=ProbeKind.TCP, target="127.0.0.1:1", interval=interval)


def served(agenda: Agenda, times: range) -> list[int]:
    return [due.slot_us for now_us in times for due in agenda.take_due(now_us)]


@given(late=st.lists(st.integers(0, 3 * SECOND), min_size=20, max_size=20))
def test_slots_do_not_drift_however_late_each_is_served(late: list[int]) -> None:
    agenda, now_us, slots = Agenda([probe()], now_us=0), 0, []
    for delay_us in late:
        now_us += (agenda.wait_us(now_us) or 0) + delay_us
        slots += [due.slot_us for due in agenda.take_due(now_us)]
    assert slots == [slots[0] + number * 10 * SECOND for number in range(20)]


def test_a_slot_is_served_once_and_only_when_it_has_come() -> None:
    first = next_slot_us(probe(), 0)
    agenda = Agenda([probe()], now_us=0)
    assert served(agenda, range(0, first, SECOND)) == []
    assert served(agenda, range(first, first + 10 * SECOND, SECOND)) == [first]


def test_slots_that_passed_while_the_host_slept_are_left_out() -> None:
    agenda = Agenda([probe()], now_us=0)
    assert agenda.take_due(3600 * SECOND) == []
    assert 0 < (agenda.wait_us(3600 * SECOND) or 0) <= 10 * SECOND


def test_a_clock_that_is_set_back_an_hour_does_not_stop_the_probe_for_an_hour() -> None:
    agenda = Agenda([probe()], now_us=3600 * SECOND)
    agenda.take_due(0)
    assert 0 < (agenda.wait_us(0) or 0) <= 10 * SECOND


def test_probes_with_one_interval_are_spread_over_it_and_keep_their_place() -> None:
    offsets = {offset_us(probe(f"probe {number}", 30.0)) for number in range(100)}
    assert len(offsets) > 20
    assert all(0 <= offset < 30 * SECOND and offset % SECOND == 0 for offset in offsets)
    assert offset_us(probe("a", 30.0)) == offset_us(probe("a", 30.0))


def test_without_probes_nothing_is_due() -> None:
    assert Agenda([], now_us=0).wait_us(0) is None
