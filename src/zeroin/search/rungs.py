"""Rungs: the budgets at which trials are compared."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from zeroin.history import History, third
from zeroin.types import Kind, Proposal, Trial

DENSE = 16  # means of noisy losses are taken at so many places within the width of one
GLANCE = 32  # a first look takes one of so many parts of a full training


def ladder(max_epochs: int, rungs: int = 3, eta: int = 2) -> tuple[int, ...]:
    """Rungs from the lowest to `max_epochs`: T/8, T/4, T/2, T by default; fewer where T is small.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (the rungs of successive halving).

    >>> ladder(52), ladder(3), ladder(1)
    ((6, 13, 26, 52), (1, 2, 3), (1,))
    """
    steps = [max_epochs]
    while len(steps) <= rungs and steps[-1] / eta >= 1:
        steps.append(max(1, round(steps[-1] / eta)))
    return tuple(sorted(set(steps)))


def reached(trial: Trial, ladder: Sequence[int]) -> int:
    """How many rungs a trial has reached."""
    return sum(trial.epoch >= rung for rung in ladder)


def loss_at(history: History, trial: Trial, rung: int) -> float:
    """What a trial is judged by at a rung: its lowest loss up to it; infinite if it failed before it.

    The lowest of many noisy losses is a lucky draw. There it is the lowest mean of a third of the epochs in a row.
    """
    losses = trial.losses[:rung]
    if len(losses) < rung:
        return np.inf
    if not history.is_noisy:
        return min(losses)
    windows = sliding_window_view(losses, width := third(rung))
    return float(windows[:: -max(1, width // DENSE)].mean(axis=1).min())  # the last one, and so many to a width


def further(ladder: Sequence[int], trial: Trial, kind: Kind, why: str, by: int = 1) -> Proposal:
    """A proposal that carries a trial on to the next rung, or by several rungs if there are so many."""
    left = [rung for rung in ladder if rung > trial.epoch]
    return Proposal(left[:by][-1], kind, why, trial=trial.number)


def screened(history: History, size: int) -> list[Trial]:
    """The trials of the coarse round: the first `size` of its kinds, in order; others may have begun between them."""
    return [t for t in history.trials[: 2 * size] if t.kind.is_coarse][:size]


def glance(history: History, lowest: int, screened: Sequence[Trial], alike: float) -> int:
    """The epochs of a first look, T/32, if losses then rank trials much as those at the lowest rung do; else 0.

    After so few epochs losses may say nothing at all. So the study's own trials decide, once all of them are screened.

    Args:
        history: of the study.
        lowest: the lowest rung, in epochs.
        screened: the trials of the coarse round.
        alike: the rank correlation that is needed.
    """
    look = max(1, history.max_epochs // GLANCE)
    both = np.array([[loss_at(history, t, e) for e in (look, lowest)] for t in screened if t.epoch >= lowest])
    waits = any(t.epoch < lowest and not t.status.is_failure for t in screened)
    if look >= lowest or waits or 2 * len(both) < len(screened):
        return 0
    early, late = (np.sign(losses[:, None] - losses).sum(1) for losses in both.T)  # ranks, those of ties averaged
    tells = early.std() > 0 and late.std() > 0 and np.corrcoef(early, late)[0, 1] >= alike
    return look if tells else 0
