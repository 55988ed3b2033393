"""Configs that agree: an executor that trains networks in stacks trains those at once that agree in what shapes them.

`together` [D] says in which hyperparameters; shapes [k, D] are points under way that differ in those.
"""

from collections.abc import Sequence

import numpy as np

from zeroin.space import Space
from zeroin.space.scales import Array

SHARE = 4  # configs of the screening round that agree
TRIED = 60  # candidates that are tried in each shape
SHAPES = 3  # the latest that are


def shapes(points: Sequence[Array], together: np.ndarray) -> Array:
    """The points that differ in `together`, the first of each."""
    found: dict[bytes, Array] = {}
    if together.any():
        for point in points:
            found.setdefault(point[together].round(9).tobytes(), point)
    return np.array(list(found.values())).reshape(len(found), len(together))


def moved(space: Space, points: Array, shape: Array, together: np.ndarray) -> Array:
    """Points [n, D] that agree with a shape [D]."""
    return space.snap(np.where(together, shape, points))


def agreeing(space: Space, pool: tuple[Array, Array], found: Array, together: np.ndarray) -> Array:
    """The best candidates of a pool (points [m, D], scores [m]), moved to agree with each of the shapes: [n, D]."""
    points, score = pool
    best = points[np.argsort(-score, kind="stable")[:TRIED]]
    return np.vstack([np.empty((0, points.shape[1])), *(moved(space, best, s, together) for s in found[:SHAPES])])


def best(points: Array, score: Array, found: Array, together: np.ndarray, share: float) -> int:
    """The best candidate, or one that agrees with a shape and is expected to bring `share` of it at least."""
    first = int(score.argmax())
    if not len(found) or not np.isfinite(score[first]):
        return first
    apart: Array = np.abs(points[:, None, together] - found[None, :, together]).max(axis=2).min(axis=1)
    near = int(np.where(apart < 1e-6, score, -np.inf).argmax())
    return near if score[near] >= score[first] + np.log(share) else first
