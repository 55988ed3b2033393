"""What to do next, by what a study has seen, in sentences."""

import shlex
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zeroin.budget import Budget
from zeroin.confirm import Confirm
from zeroin.header import Header
from zeroin.history import History
from zeroin.report.compare import UNCLEAR
from zeroin.report.curves import Progress
from zeroin.report.nextranges import is_of_command_line, paste, wider
from zeroin.report.thin import the_best
from zeroin.space import Space
from zeroin.types import Importance, Trial
from zeroin.wording import counted

SOON = 10  # epochs or trials of the search, before which nothing is said of a larger one
LATE, EARLY = 0.8, 0.5  # of the search: a best that came after the one, and before the other
DEEP, SHALLOW = 0.95, 0.5  # of a full training: where the best trials are at their best
SEEDS = 5  # to ask for where there were none
FEW = 3  # full trainings, below which nothing is said of their length
MANY_FAILED = 0.1  # of all trials


@dataclass(frozen=True, slots=True)
class Next:
    """What to do next; words between backticks are to be typed. `paste` is empty where no range is known better."""

    steps: tuple[str, ...]
    paste: str


def next_steps(
    header: Header,
    history: History,
    best: Trial | None,
    importance: Sequence[Importance],
    progress: Progress,
    verdict: str,
) -> Next:
    """What a user might do after this study.

    Args:
        header, history, best, importance, progress: of the study; `best` is the trial held for the best.
        verdict: of the trainings after the search; empty where there were none to compare.
    """
    if best is None:
        return Next((), "")
    space, command = header.space, header.plan.command if header.plan else ""  # empty: it was begun in Python
    budget = header.plan.budget if header.plan else None  # of a loop of the user's own, which has no such options
    steps = [
        *_surer(history, verdict, budget, command),
        *_budget(history, progress, budget, command),
        *_depth(history, command),
        *_edges(space, best, importance),
        *_failed(history, _audited(header, command)),
    ]
    return Next(tuple(steps), paste(space, history, best, importance, command))


def _surer(history: History, verdict: str, budget: Budget | None, command: str) -> Iterator[str]:
    worked = sum(t.loss is not None for t in history.trials if t.kind.is_search)
    if not verdict and worked > 1:
        again = "train"
        if budget:
            pays = Confirm.within(budget.trainings(history.max_epochs), SEEDS).seeds
            more = "" if pays else ", with a larger budget,"
            again = f"{_option(command, 'confirm', str(SEEDS))}{more} trains"
        yield (
            f"The best is one of {worked:,} trials, so part of its score may be luck: {again} it and the default again "
            f"with fresh seeds."
        )
    elif UNCLEAR in verdict:
        again = _option(command, "confirm", "10")
        yield (
            f"The best is not clearly better than the default: more fresh seeds may tell them apart ({again}, with a "
            f"larger budget)."
        )


def _budget(history: History, progress: Progress, budget: Budget | None, command: str) -> Iterator[str]:
    if progress.spent < SOON or not progress.steps:
        return
    unit = "epoch" if history.max_epochs > 1 else "trial"
    last, spent = progress.steps[-1].spent, progress.spent
    if last > LATE * spent:
        larger = " ".join(_option(command, name, value) for name, value in _larger(history, budget)) if budget else ""
        asked = f" ({larger} goes on from here)" if larger else ""
        yield (
            f"The best came after {last:,} of {counted(spent, unit)}, near the end of the search: a larger budget may "
            f"find a better one{asked}."
        )
    elif last < EARLY * spent:
        yield (
            f"Nothing better came in the last {spent - last:,} of {counted(spent, unit)} of the search: more of the "
            f"same promises little."
        )


def _larger(history: History, budget: Budget) -> Iterator[tuple[str, str]]:
    """Twice of what was spent, for each limit that ends the search; minutes are of each call anew."""
    if budget.trials:
        yield "trials", str(2 * sum(t.kind.is_search for t in history.trials))
    if budget.epochs:
        yield "epochs", str(2 * history.epochs.total())
    if budget.minutes:
        yield "minutes", f"{budget.minutes:g}"


def _depth(history: History, command: str) -> Iterator[str]:
    full = [t for t in history.trials if t.kind.is_search and t.epoch >= history.max_epochs > FEW]
    at = [t.best_epoch for t in the_best(full, 5) if t.best_epoch]
    if len(at) < FEW:
        return
    usual = round(statistics.median(at))
    name = f"with {_option(command, 'name', 'NEW')}, as a study's depth stays"
    if usual >= DEEP * history.max_epochs:
        longer = _option(command, "max_epochs", str(2 * history.max_epochs))
        yield (
            f"The best trials still improved at epoch {usual} of {history.max_epochs}: longer trainings may do better "
            f"({longer}, {name})."
        )
    elif usual <= SHALLOW * history.max_epochs:
        shorter = _option(command, "max_epochs", str(max(usual + 1, history.max_epochs // 2)))
        yield (
            f"The best trials were at their best by epoch {usual} of {history.max_epochs}: shorter trainings may do, "
            f"and leave more trials for the same epochs ({shorter}, {name})."
        )


def _edges(space: Space, best: Trial, importance: Sequence[Importance]) -> Iterator[str]:
    names = [name for name in space.params if wider(space, name, best, importance)]
    if names:
        yield (
            f"{', '.join(names)}: the best lies at an end of where the search may go; the ranges below reach further."
        )


def _failed(history: History, task: str) -> Iterator[str]:
    search = [t for t in history.trials if t.kind.is_search]
    failed = sum(t.status.is_failure for t in search)
    if failed > MANY_FAILED * len(search):
        look = "the crosses show where"
        if task:
            look += f", and `{shlex.join(['zeroin', 'audit', task])}` looks for what is wrong with the network"
        yield f"{failed:,} of {counted(len(search), 'trial')} failed: {look}."


def _audited(header: Header, command: str) -> str:
    """What `zeroin audit` is to be given; empty where that takes more than a word, as of a table, or has no network."""
    return "" if "objective" in header.measure or "--target" in command else header.task


def _option(command: str, name: str, value: str) -> str:
    """What to ask for, as it is written on the command line or, where the study was not begun there, in Python."""
    if is_of_command_line(command):
        return f"`--{name.replace('_', '-')} {value}`"
    return f"`{name}={value!r}`" if name == "name" else f"`{name}={value}`"
