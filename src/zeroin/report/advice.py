"""What the playbook advised, and how much that helped, in a few sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from zeroin.goal import turned
from zeroin.history import History
from zeroin.report.curves import search_epochs
from zeroin.types import Kind, Trial
from zeroin.wording import counted, score_words, value_words


@dataclass(frozen=True, slots=True)
class Advice:
    """The reason why each config was advised (`said`), and the outcome in a sentence or two (`words`)."""

    said: tuple[str, ...]
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
        return Advice(said, (f"The playbook advised {counted(len(said), 'config')}.",))
    return Advice(said, (_first(history, len(said), advised, fresh, goal), _after(history, advised, goal)))


def _first(history: History, said: int, advised: Sequence[Trial], fresh: Sequence[Trial], goal: str) -> str:
    """How the advised configs did compared with fresh ones, at the epoch that all of them had reached."""
    epoch = min(t.epoch for t in (*advised, *fresh))
    ours, theirs = ([min(t.losses[:epoch]) for t in trials] for trials in (advised, fresh))
    better = sum(loss > min(ours) for loss in theirs)
    best, other = (score_words(turned(goal, min(losses))) for losses in (ours, theirs))
    after = f"After {counted(epoch, 'epoch')} each, the" if history.max_epochs > 1 else "The"
    return (
        f"The study began with {counted(said, 'config')} of the playbook. {after} "
        f"best of them had {best}, the best of {counted(len(theirs), 'fresh config')} {other}: the playbook's was "
        f"better than {better} of {len(theirs)}."
    )


def _after(history: History, advised: Sequence[Trial], goal: str) -> str:
    """How long it took until another config was as good as the best of the advised."""
    lead, loss = _lead(history, advised)
    came = f"The best of them came to {score_words(turned(goal, loss))} in the end"
    if lead is None:
        return f"{came}; nothing else that the study tried was as good."
    if lead == 0:
        return f"{came}; another config was as good before, so that they saved nothing."
    more = f"{counted(lead, 'trial')} more"
    if history.max_epochs > 1:
        more = f"{counted(lead, 'epoch')} more ({value_words(round(lead / history.max_epochs, 1))} full trainings)"
    return f"{came}; it took {more} until another config was as good."


def _lead(history: History, advised: Sequence[Trial]) -> tuple[int | None, float]:
    """Epochs from the best loss of an advised config to the first loss of another that is as good; and that loss."""
    own = {t.number for t in advised}
    target = min(loss for t in advised if (loss := t.loss) is not None)
    began = None
    for spent, (trial, loss) in enumerate(search_epochs(history), 1):
        if loss > target or trial.status.is_failure:
            continue
        if trial.number not in own:
            return (0 if began is None else spent - began), target
        began = began or spent
    return None, target
