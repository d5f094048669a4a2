"""What a run tells: the table, the sentences, and the verdict."""

from collections.abc import Sequence

from watchdesk_collector.cli.selftest.ledgers import Key, Ledgers, parse
from watchdesk_collector.cli.selftest.oracle import Evil, Finding, Outcomes
from watchdesk_collector.cli.selftest.report import COLUMNS, MAX_SENTENCES, NO_FAULT, Report
from watchdesk_collector.cli.selftest.stored import StoredBatch

HOST, EPOCH = "host-1", 7


def report(*, findings: Sequence[Finding] = ()) -> Report:
    """Three rounds, with a batch of ten samples each, and two more: before the first and thrown away in the third."""
    ledgers = Ledgers()
    tell(ledgers, 0, spooled(1), "acked 7 1 1")
    tell(ledgers, 1, spooled(2), "acked 7 2 2")
    tell(ledgers, 2, spooled(3), f"spooling 7 9 {rows()}", "dropped 7 9 9 disk_full")
    tell(ledgers, 3, spooled(4), spooled(5), f"spooling 7 6 {rows()}")
    ledgers.throw_away([Key(HOST, EPOCH, 4), Key(HOST, EPOCH, 5)], why="only there")
    return Report(
        seed=42,
        kinds=["cut", "spool_full", "cut"],
        stories=ledgers.stories,
        outcomes=Outcomes([StoredBatch(HOST, EPOCH, seq, seq, 10, "stored") for seq in (1, 2, 3, 5)]),
        findings=findings,
        lines=1234,
        skipped={"history_full": "needs root"},
    )


def rows() -> str:
    return '{"cpu":[1,2,3,4,5,6,7,8],"disk":[1,2]}'


def spooled(seq: int) -> str:
    return f"spooling 7 {seq} {rows()}\nspooled 7 {seq}"


def tell(ledgers: Ledgers, round_: int, *texts: str) -> None:
    ledgers.current_round = round_
    for line in "\n".join(texts).splitlines():
        ledgers.take(HOST, parse(line))


def lost(samples: int, round_: int = 1) -> Finding:
    return Finding(evil=Evil.LOST, samples=samples, round=round_, sentence="gone")


def test_samples_are_counted_for_the_kind_of_the_round_that_spooled_them() -> None:
    doubled = Finding(evil=Evil.DOUBLED, samples=4, round=2, sentence="twice")
    assert report(findings=[lost(3), doubled]).rows() == [
        #                rounds sampled acked stored dropped lost doubled
        ["cut", "2", "30", "10", "20", "0", "3", "0"],
        ["spool_full", "1", "20", "0", "10", "10", "0", "4"],
        [NO_FAULT, "0", "10", "10", "10", "0", "0", "0"],
        ["total", "3", "60", "20", "40", "10", "3", "4"],
    ]


def test_what_was_sampled_was_stored_dropped_thrown_away_or_lost() -> None:
    figures = report().figures().values()
    for figure in figures:
        assert figure.sampled == figure.stored + figure.dropped + figure.thrown_away + figure.lost


def test_a_table_has_a_cell_for_each_column() -> None:
    assert {len(row) for row in report().rows()} == {len(COLUMNS)}


def test_sentences_tell_what_was_skipped_thrown_away_and_found() -> None:
    told = "\n".join(report(findings=[lost(3, round_=2)]).sentences())
    assert "1,234 log lines" in told
    assert "10 samples only there" in told
    assert "Not tried here: history_full, which needs root." in told
    assert "LOST: gone (round 2, spool_full)" in told


def test_many_findings_are_told_as_a_number() -> None:
    told = list(report(findings=[lost(1) for _ in range(MAX_SENTENCES + 5)]).sentences())
    assert told[-1] == "… and 5 more findings."


def test_the_verdict_names_the_seed_and_both_numbers() -> None:
    assert report(findings=[lost(1500)]).verdict() == "3 rounds, seed 42: 1,500 lost, 0 doubled."
    assert report().is_clean
    assert not report(findings=[lost(1)]).is_clean
