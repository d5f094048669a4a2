"""Which faults a seed deals."""

from collections import Counter
from itertools import islice

from watchdesk_collector.cli.selftest.deck import deal

KINDS = ("kill", "cut", "fill", "clone", "restore")


def names(*, rounds: int, seed: int) -> list[str]:
    return [kind for kind, _ in deal(KINDS, rounds=rounds, seed=seed)]


def draws(seed: int) -> list[list[float]]:
    return [[rng.random() for _ in range(3)] for _, rng in deal(KINDS, rounds=20, seed=seed)]


def test_a_seed_deals_the_same_kinds_and_the_same_numbers_again() -> None:
    assert names(rounds=40, seed=1) == names(rounds=40, seed=1)
    assert draws(1) == draws(1)


def test_another_seed_deals_others() -> None:
    assert names(rounds=40, seed=1) != names(rounds=40, seed=2)
    assert draws(1) != draws(2)


def test_a_longer_run_begins_as_a_shorter_one_of_the_same_seed() -> None:
    assert names(rounds=40, seed=3)[:12] == names(rounds=12, seed=3)


def test_each_kind_comes_once_per_deck() -> None:
    assert set(Counter(names(rounds=100, seed=4)).values()) == {20}
    assert len(set(names(rounds=5, seed=5))) == 5


def test_how_much_a_round_draws_changes_no_other_round() -> None:
    greedy = []
    for number, (_, rng) in enumerate(deal(KINDS, rounds=10, seed=6)):
        if number % 2:
            list(islice(iter(rng.random, None), 100))
        else:
            greedy.append(rng.random())
    assert greedy == [numbers[0] for numbers in draws(6)[:10:2]]
