"""A short slice of the sweep over damaged write-ahead logs; `wal_sweep.py` alone runs it whole."""

import wal_sweep
from wal_sweep import Classes

OF_EACH = 5


def a_few(classes: Classes) -> Classes:
    return {name: damages[:: max(1, len(damages) // OF_EACH)] for name, damages in classes.items()}


def test_after_any_damage_to_the_log_history_opens_and_becomes_whole() -> None:
    assert not wal_sweep.run(seed=1, in_process=20, collector=0, choose=a_few).broken
