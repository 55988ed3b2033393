"""What a decision looks at: the history, what was computed from it, and what the decision has chosen so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from zeroin.history import History
from zeroin.rng import generator
from zeroin.search import agreement, finite
from zeroin.search.box import Box
from zeroin.search.rows import Memory
from zeroin.search.settings import Settings
from zeroin.space import Choice, Space
from zeroin.space.scales import Array
from zeroin.types import Proposal, Range, Trial

DRAWS = 32  # so many points are drawn, of which the first is taken that was not tried


@dataclass(frozen=True, slots=True)
class View:
    """A history as a decision needs it. It is immutable: choosing something gives another view."""

    settings: Settings
    space: Space
    history: History
    free: int  # slots
    ladder: tuple[int, ...]
    given_up: tuple[int, ...]  # the rungs below it, which mislead
    seed: int
    memory: Memory
    screen: int
    glance: int  # epochs of a first look; 0 if its losses tell too little about later ones
    ranges: dict[str, Range]
    box: Box
    together: np.ndarray  # [D]: whether configs that are trained at once should agree in it
    ranks: Callable[[Trial, int], float]  # ranks trials of the coarse round after so many epochs
    chosen: tuple[Proposal, ...] = ()
    points: tuple[Array, ...] = ()  # [D] of each proposal that is chosen

    def choosing(self, *proposals: Proposal) -> "View":
        """The view with more proposals chosen."""
        points = [self.memory.units[p.trial] if p.config is None else self.space.units(p.config) for p in proposals]
        return replace(self, chosen=(*self.chosen, *proposals), points=(*self.points, *points))

    def within(self, ranges: Mapping[str, Range]) -> "View":
        """The view with other ranges."""
        return self if ranges == self.ranges else replace(self, ranges=dict(ranges), box=Box.of(self.space, ranges))

    @property
    def is_full(self) -> bool:
        """Whether there is a job for every slot."""
        return len(self.chosen) >= self.free

    @property
    def slots(self) -> int:
        """Free ones and those that train."""
        return self.free + len(self.history.running)

    @property
    def foresees(self) -> bool:
        """Whether the outlook applies: it is known how much losses of short trainings still fall."""
        return len(self.ladder) > 1 and self.memory.outlook is not None

    @property
    def busy(self) -> set[int]:
        """The numbers of trials with a running job, or with a chosen one."""
        running = {job.trial for job in self.history.running}
        return running | {proposal.trial for proposal in self.chosen if proposal.trial is not None}

    @property
    def steps(self) -> tuple[int, ...]:
        """The rungs, preceded by the first look if it tells enough."""
        return (self.glance, *self.ladder) if self.glance else self.ladder

    def rng(self, purpose: str, *part: int) -> np.random.Generator:
        """A random stream of its own for each purpose of each decision, and for each part of that."""
        return generator(self.seed, purpose, len(self.history.jobs), *part)

    @property
    def running(self) -> list[Array]:
        """Points of the trials with a running job."""
        return [self.memory.units[number] for number in sorted({job.trial for job in self.history.running})]

    @property
    def begun(self) -> list[Array]:
        """Points of the new configs that are chosen."""
        return [point for point, p in zip(self.points, self.chosen, strict=True) if p.config is not None]

    @property
    def _tried(self) -> set[bytes]:
        """Keys of the configs of all trials, and of the new ones that are chosen."""
        return self.memory.keys.union(map(finite.key, self.begun))

    def has(self, point: Array) -> bool:
        """Whether the config of a point [D] was tried or is chosen."""
        rounded = self.space.units(self.space.config(point))  # close to 1, 12 digits are few on scale one_minus_log
        return finite.key(rounded) in self._tried

    @property
    def shapes(self) -> Array:
        """Points [k, D] that are chosen or running and differ in `together`, the latest first."""
        return agreement.shapes([*reversed(self.points), *reversed(self.running)], self.together)

    def agreeing(self, point: Array) -> Array:
        """The point [D], moved to agree with the latest one that is chosen or running."""
        shapes = self.shapes
        return agreement.moved(self.space, point[None], shapes[0], self.together)[0] if len(shapes) else point

    @property
    def _widest(self) -> dict[str, Range]:
        """The declared and the current ranges together; the playbook's ranges alone might mislead."""
        return {
            name: self.ranges[name] if isinstance(param, Choice) else _both(param.range, self.ranges[name])
            for name, param in self.space.params.items()
        }

    @property
    def whole(self) -> Box:
        """The box of the declared and the current ranges."""
        return Box.of(self.space, self._widest)

    @property
    def listed(self) -> Array | None:
        """Points [n, D] of all configs of the declared and the current ranges; None where they are many."""
        return self.memory.listed(self._widest)

    def untried(self, box: Box, rng: np.random.Generator) -> Array | None:
        """A random point [D] of a box that was neither tried nor chosen; None if no config is left.

        If the configs are too many to be listed and no draw happens to be new, it is one that was tried.
        """
        draws = box.uniform(DRAWS, rng)
        fresh = draws[~finite.among(draws, self._tried)]
        if len(fresh) or self.listed is None:
            return np.asarray(fresh[0] if len(fresh) else draws[0])
        left = self.listed[~finite.among(self.listed, self._tried)]
        return np.asarray(left[rng.integers(len(left))]) if len(left) else None


def _both(declared: Range, now: Range) -> Range:
    """The smallest range that contains two ranges of a number."""
    return min(declared[0], now[0]), max(declared[1], now[1])  # type: ignore[type-var]
