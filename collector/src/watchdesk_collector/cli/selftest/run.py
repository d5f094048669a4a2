"""A run from its first word to its exit code: the kinds are chosen, the arena is opened, the rounds are played, and the report is told."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from watchdesk_collector.cli.demo.waiting import DemoError, Interrupted, Waiter
from watchdesk_collector.cli.errors import FAILED, USAGE, CliError
from watchdesk_collector.cli.output import print_table
from watchdesk_collector.cli.selftest.arena import POLL_S, opened
from watchdesk_collector.cli.selftest.deck import deal
from watchdesk_collector.cli.selftest.kinds import KINDS, Kind
from watchdesk_collector.cli.selftest.report import COLUMNS, Report
from watchdesk_collector.cli.selftest.screen import shown
from watchdesk_collector.cli.selftest.trial import Trial

INTERRUPTED = 130


def choose(names: Sequence[str] | None) -> Sequence[Kind]:
    """The kinds of these names, all when there are none. **Errors**: CliError, when there is no such kind."""
    kinds_by_name = {kind.name: kind for kind in KINDS}
    if names is None:
        return KINDS
    for name in names:
        if name not in kinds_by_name:
            raise CliError(f"there is no kind {name!r}; the kinds are {', '.join(kinds_by_name)}", USAGE)
    return [kinds_by_name[name] for name in dict.fromkeys(names)]


def show(kinds: Sequence[Kind]) -> None:
    """Print what each kind is, and why it cannot be tried here."""
    print_table(("kind", "what happens", "here"), [[kind.name, _summary(kind), kind.obstacle() or "yes"] for kind in kinds])


def play(kinds: Sequence[Kind], *, rounds: int, seed: int, keep: Path | None) -> int:
    """The whole run; its exit code. **Errors**: CliError."""
    skipped = {kind.name: why for kind in kinds if (why := kind.obstacle()) is not None}
    playable = [kind for kind in kinds if kind.name not in skipped]
    if not playable:
        raise CliError(f"none of these kinds can be tried here: {'; '.join(f'{name} {why}' for name, why in skipped.items())}")
    waiter = Waiter(programs=(), poll_s=POLL_S)
    print(f"{rounds} rounds of {len(playable)} kinds of faults, seed {seed}", flush=True)
    with waiter.listening(), _folder(keep) as folder, opened(folder, waiter=waiter, seed=seed, keep=keep is not None) as arena:
        trial = Trial(arena)
        try:
            arena.start()
            _play_rounds(trial, playable, rounds=rounds, seed=seed)
            trouble, code = "", 0
        except Interrupted:
            trouble, code = "interrupted: what was under way is not judged", INTERRUPTED
        except DemoError as error:
            trouble, code = f"the run could not go on: {error}", FAILED
        report = Report(
            seed=seed,
            kinds=trial.kinds,
            stories=arena.ledgers.stories,
            outcomes=trial.outcomes,
            findings=trial.oracle.findings,
            lines=arena.lines,
            skipped=skipped,
            misses=trial.misses,
        )
    _tell(report, trouble)
    return code if report.is_clean else FAILED


def _play_rounds(trial: Trial, kinds: Sequence[Kind], *, rounds: int, seed: int) -> None:
    with shown(rounds) as screen:
        for kind, rng in deal(kinds, rounds=rounds, seed=seed):
            screen.begin(kind.name)
            began_s = time.monotonic()
            findings = trial.play(kind, rng)
            screen.end_round(kind.name, time.monotonic() - began_s, findings)
        screen.begin("draining")
        trial.finish()


def _tell(report: Report, trouble: str) -> None:
    print()
    print_table(COLUMNS, report.rows(), numeric=range(1, len(COLUMNS)))
    for sentence in report.sentences():
        print(sentence)
    if trouble:
        print(f"{trouble[0].upper()}{trouble[1:]}")
    print(report.verdict())


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """An empty folder for the run, gone at the end unless it is kept. **Errors**: CliError."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="watchdesk-selftest-") as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        is_empty = not any(keep.iterdir())
    except OSError as error:
        raise CliError(f"{keep}: {error.strerror}; name a new or empty folder with --keep", USAGE) from error
    if not is_empty:
        raise CliError(f"{keep} is not empty; name a new or empty folder with --keep", USAGE)
    yield keep.resolve()


def _summary(kind: Kind) -> str:
    return (kind.__doc__ or "").partition("\n")[0].rstrip(".")
