"""The importance of each hyperparameter by the model, with its uncertainty."""

from dataclasses import replace

import numpy as np

from zeroin.history import History
from zeroin.rng import generator
from zeroin.search import hindsight
from zeroin.search.box import Box
from zeroin.search.model import build
from zeroin.search.rows import Memory
from zeroin.search.surrogate import one_blas_thread, root
from zeroin.space import Space
from zeroin.space.scales import Array
from zeroin.types import Importance

POINTS = 96  # of the space, each moved along every hyperparameter in turn
MOST = 4_000  # points in all, whose covariance is held at once: 96 of 80 hyperparameters took 77 s and 2 GB
DRAWS = 32  # of the posterior


@one_blas_thread
def importances(space: Space, history: History, memory: Memory | None = None) -> list[Importance]:
    """The importance of each searched hyperparameter within the current ranges, the largest first.

    It is about the warped loss at the full budget, as the model expects it. The spread of the importance over draws
    from the model says how certain it is. Only the spread is used, not the mean over the draws: each draw also varies
    along hyperparameters that do nothing, the more so the noisier the losses are.

    Args:
        space: the hyperparameters.
        history: of the study.
        memory: of this history, as the search used it; None: a new one.

    Returns:
        One for each hyperparameter that is not held; empty if all are, or if fewer than five trials worked.

    Source: M. J. W. Jansen, "Analysis of variance designs for model output", 1999: the total effect index as
    half the mean squared change of the output when one input is drawn anew, over the variance of the output.

    >>> from zeroin.space import Float
    >>> importances(Space(x=Float(0, 1)), History())
    []
    """
    memory = memory or Memory(space, history, hindsight.trusted(space, history))
    rows = memory.rows()
    searched = [j for j, p in enumerate(space.params.values()) if not p.held]
    if not searched or len(np.unique(rows.trial[np.isfinite(rows.loss)])) < 5:
        return []
    # The search crowds where losses are low; those of the coarse round, which covers the space, tell what is common.
    coarse = next((t.number for t in history.trials if not t.kind.is_coarse), len(history.trials))
    model = build(replace(rows, typical=coarse), memory)
    rng = generator(0, "importance", len(history.jobs))
    box = Box.of(space, history.regions[-1].ranges if history.regions else space.ranges)
    count = max(2, min(POINTS, MOST // (1 + len(searched))))
    points, others = box.uniform(count, rng), box.uniform(count, rng)
    moved = []
    for j in searched:
        changed = points.copy()
        changed[:, j] = others[:, j]
        moved.append(space.snap(changed))
    mean, covariance = model.posterior.joint(model.features(np.vstack([points, *moved])))
    draws = mean[:, None] + root(covariance, 1e-9) @ rng.standard_normal((len(mean), DRAWS))
    drawn, expected = _shares(draws, len(searched)), _shares(mean[:, None], len(searched))[:, 0]
    low, high = np.clip(np.quantile(drawn, [0.05, 0.95], axis=1) - drawn.mean(axis=1) + expected, 0.0, 1.0)
    names = list(space)
    found = [
        Importance(names[j], float(min(low[i], e)), float(e), float(max(high[i], e)))
        for i, (j, e) in enumerate(zip(searched, expected, strict=True))
    ]
    return sorted(found, key=lambda each: -each.mean)


def _shares(losses: Array, moved: int) -> Array:
    """Total effects [moved, k] by k functions' values [(1 + moved) n, k]: of n points, then each one moved."""
    base, *changed = np.split(losses, 1 + moved)
    share = 0.5 * ((np.array(changed) - base) ** 2).mean(axis=1) / np.maximum(base.var(axis=0), 1e-12)
    return np.asarray(np.minimum(share, 1.0))  # what a finite sample has above
