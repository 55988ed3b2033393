"""What the playbook advised, and how much that helped, in numbers and a few sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zeroin.goal import turned
from zeroin.history import History
from zeroin.types import Kind, Trial
from zeroin.wording import counted, value_words


@dataclass(frozen=True, slots=True)
class Advice:
    """What was advised and what came of it.

    Args:
        said: why each config was advised.
        early: the scores of those trials, and of the fresh ones of the coarse round, at the epoch that all were
            trained to; failed ones are left out.
        epoch: that epoch.
        lead: epochs that the study spent from the first time a config of the playbook had the best of their scores
            until any other was as good; None where none was.
        words: all this in sentences.
    """

    said: tuple[str, ...]
    early: tuple[tuple[float, ...], tuple[float, ...]]
    epoch: int
    lead: int | None
    words: tuple[str, ...]


def advice(history: History, goal: str) -> Advice | None:
    """What the playbook brought to a study; None where it said nothing.

    Args:
        history: of the study, its losses lower is better.
        goal: "minimize", or "maximize" where losses are negated scores.
    """
    if not history.advice:
        return None
    said = tuple(given.why for given in history.advice)
    coarse = [t for t in history.trials if t.kind.is_coarse and t.losses and not t.status.is_failure]
    advised = [t for t in coarse if t.kind is Kind.PLAYBOOK]
    fresh = [t for t in coarse if t.kind is Kind.SCREEN]
    if not advised or not fresh:
        return Advice(said, ((), ()), 0, None, (f"The playbook advised {counted(len(said), 'config')}.",))
    epoch = min(len(t.losses) for t in [*advised, *fresh])
    early = _losses(advised, epoch), _losses(fresh, epoch)
    lead, led = _lead(history, advised)
    words = (_first(said, early, epoch, goal), _after(history, lead, led, goal))
    scores = tuple(tuple(turned(goal, loss) for loss in losses) for losses in early)
    return Advice(said, (scores[0], scores[1]), epoch, lead, words)


def _losses(trials: Sequence[Trial], epoch: int) -> tuple[float, ...]:
    """The best of each up to an epoch."""
    return tuple(min(t.losses[:epoch]) for t in trials)


def _first(said: Sequence[str], early: tuple[tuple[float, ...], tuple[float, ...]], epoch: int, goal: str) -> str:
    ours, theirs = early
    better = int((np.array(theirs) > min(ours)).sum())
    best, other = (value_words(turned(goal, min(losses))) for losses in early)
    begun = counted(len(said), "config") + " of the playbook"
    return (
        f"The study began with {begun}. After {counted(epoch, 'epoch')} each, the best of them had {best}, the best of "
        f"{counted(len(theirs), 'fresh config')} {other}: the playbook's was better than {better} of {len(theirs)}."
    )


def _lead(history: History, advised: Sequence[Trial]) -> tuple[int | None, float]:
    """Epochs between the best loss of an advised config and the first of another that is as good; that loss."""
    own = {t.number for t in advised}
    target = min(loss for t in advised if (loss := t.loss) is not None)
    spent, began = 0, None
    for job in history.jobs:
        if not job.kind.is_search:
            continue
        losses = history.trials[job.trial].losses[job.start : job.stop]
        for loss in losses:
            spent += 1
            if loss > target:
                continue
            if job.trial in own:
                began = spent if began is None else began
            else:
                return (0 if began is None else spent - began), target
    return None, target


def _after(history: History, lead: int | None, loss: float, goal: str) -> str:
    came = f"The best of them came to {value_words(turned(goal, loss))} in the end"
    if lead is None:
        return f"{came}; nothing else that the study tried was as good."
    if lead == 0:
        return f"{came}; another config was as good before, so that they saved nothing."
    whole = value_words(round(lead / history.max_epochs, 1))
    trainings = f" ({whole} full trainings)" if history.max_epochs > 1 else ""
    return f"{came}; it took {counted(lead, 'epoch')} more{trainings} until another config was as good."
