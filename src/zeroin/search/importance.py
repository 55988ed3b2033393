"""How much each hyperparameter matters, by the model, with how sure the model is of that."""

from dataclasses import replace

import numpy as np

from zeroin.history import History
from zeroin.rng import generator
from zeroin.search import rungs
from zeroin.search.box import Box
from zeroin.search.model import Features, build
from zeroin.search.rows import Memory
from zeroin.search.surrogate import one_blas_thread, root
from zeroin.space import Space
from zeroin.space.scales import Array
from zeroin.types import Importance

POINTS = 96  # of the space, each moved along every hyperparameter in turn
DRAWS = 32  # of the posterior


@one_blas_thread
def importances(
    space: Space, history: History, *, max_epochs: int, seed: int = 0, memory: Memory | None = None
) -> list[Importance]:
    """Each searched hyperparameter's importance over the ranges searched now, the largest first.

    Empty where fewer than five trials worked. The loss is the warped one at the full budget, as the model expects it.
    How far draws of the model differ in that tells how sure it is. Their own level does not count: each draw wiggles
    along what does nothing as well, the more so where losses are noisy. `memory` is of this history, with what the
    search knew beside it; None: what it knows unless told otherwise.

    Source: M. J. W. Jansen, "Analysis of variance designs for model output", 1999: the total effect index as
    half the mean squared change of the output when one input is drawn anew, over the variance of the output.

    >>> importances(Space(), History(), max_epochs=1)  # doctest: +SKIP
    []
    """
    ladder = rungs.ladder(max_epochs)
    memory = memory or Memory()
    rows = memory.rows(space, history, ladder)
    if len(np.unique(rows.trial[np.isfinite(rows.loss)])) < 5:
        return []
    # The search crowds where losses are low; those of the coarse round, which covers the space, tell what is common.
    coarse = next((t.number for t in history.trials if not t.kind.is_coarse), len(history.trials))
    model = build(replace(rows, typical=coarse), Features.of(space, ladder), memory)
    rng = generator(seed, "importance", len(history.jobs))
    box = Box.of(space, history.regions[-1].ranges if history.regions else space.ranges)
    points, others = box.uniform(POINTS, rng), box.uniform(POINTS, rng)
    searched = [j for j, p in enumerate(space.params.values()) if not p.held]
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
    """Total effects [moved, k] by k functions' values [(1 + moved) POINTS, k]: of the points, then each one moved."""
    base, changes = losses[:POINTS], losses[POINTS:].reshape(moved, POINTS, -1)
    share = 0.5 * ((changes - base) ** 2).mean(axis=1) / np.maximum(base.var(axis=0), 1e-12)
    return np.asarray(np.minimum(share, 1.0))  # what a finite sample has above
