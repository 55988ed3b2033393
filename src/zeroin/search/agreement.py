"""Configs that agree with one another, for executors that train networks in stacks.

Networks can be stacked if their configs agree in the hyperparameters that determine their shape. `together` [D] says
which these are; `shapes` [k, D] are points that are being trained and differ in them.
"""

from collections.abc import Sequence

import numpy as np

from zeroin.space import Space
from zeroin.space.scales import Array

SHARE = 4  # so many consecutive configs of the coarse round agree
TRIED = 60  # so many candidates are tried in each shape
SHAPES = 3  # so many of the latest shapes are tried


def shapes(points: Sequence[Array], together: np.ndarray) -> Array:
    """The first point of each shape."""
    found: dict[bytes, Array] = {}
    if together.any():
        for point in points:
            found.setdefault(point[together].round(9).tobytes(), point)
    return np.array(list(found.values())).reshape(len(found), len(together))


def moved(space: Space, points: Array, shape: Array, together: np.ndarray) -> Array:
    """Points [n, D], moved so that they agree with a shape [D]."""
    return space.snap(np.where(together, shape, points))


def agreeing(space: Space, pool: tuple[Array, Array], found: Array, together: np.ndarray) -> Array:
    """The best candidates of a pool (points [m, D] and scores [m]), moved to each of the shapes: [n, D]."""
    points, score = pool
    best = points[np.argsort(-score, kind="stable")[:TRIED]]
    return np.vstack([np.empty((0, points.shape[1])), *(moved(space, best, s, together) for s in found[:SHAPES])])


def best(points: Array, score: Array, found: Array, together: np.ndarray, share: float) -> int:
    """The index of the best candidate, or of one that agrees with a shape and has at least `share` of its EI."""
    first = int(score.argmax())
    if not len(found) or not np.isfinite(score[first]):
        return first
    apart: Array = np.abs(points[:, None, together] - found[None, :, together]).max(axis=2).min(axis=1)
    near = int(np.where(apart < 1e-6, score, -np.inf).argmax())
    return near if score[near] >= score[first] + np.log(share) else first
