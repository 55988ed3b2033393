"""The part of the unit cube that may be proposed, and how points are drawn in it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zeroin.space import Choice, Int, Space
from zeroin.space.scales import Array
from zeroin.types import Range


@dataclass(frozen=True, slots=True)
class Box:
    """The bounds `low` and `high` [D] in the unit cube; `choice[j]`: hyperparameter j is an unordered choice."""

    space: Space
    low: Array
    high: Array
    choice: np.ndarray
    edge: Array  # [D] how far inside a clipped point stays: the edge of a whole number's cell belongs to the next one

    @staticmethod
    def of(space: Space, ranges: Mapping[str, Range]) -> "Box":
        """The box of ranges."""
        low, high = space.span(ranges).T
        unordered = [isinstance(p, Choice) and not p.ordered for p in space.params.values()]
        whole = [1e-9 if isinstance(p, Int) and not p.held else 0.0 for p in space.params.values()]
        return Box(space, low, high, np.array(unordered), np.array(whole))

    def uniform(self, n: int, rng: np.random.Generator) -> Array:
        """Points [n, D] uniform in the box."""
        return self.space.snap(self.low + rng.random((n, len(self.low))) * (self.high - self.low))

    def place(self, points: Array) -> Array:
        """Points of the unit cube, moved into the box in proportion."""
        return self.space.snap(self.low + points * (self.high - self.low))

    def clip(self, points: Array) -> Array:
        """Points moved inside."""
        return np.clip(points, self.low + self.edge, self.high - self.edge)

    def mutate(self, parents: Array, n: int, step: float, rng: np.random.Generator) -> Array:
        """Points [n, D], each a mutated parent: some numbers move by normal steps of sd `step`, some options change."""
        d = len(self.low)
        points = parents[rng.integers(0, len(parents), n)]
        moved = rng.random(points.shape) < max(0.3, min(1.0, 2.0 / d))
        moved[np.arange(n), rng.integers(0, d, n)] = True
        new = self.clip(points + moved * step * rng.standard_normal(points.shape))
        c = np.flatnonzero(self.choice)
        drawn = self.low[c] + rng.random((n, len(c))) * (self.high - self.low)[c]
        new[:, c] = np.where(moved[:, c] & (rng.random((n, len(c))) < 0.5), drawn, points[:, c])
        return self.space.snap(new)
