"""What a decision looks at: a history with what was computed of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeroin.history import History
from zeroin.rng import generator
from zeroin.search import finite, rungs
from zeroin.search.model import Memory
from zeroin.search.settings import Settings
from zeroin.search.zoom import Box
from zeroin.space import Choice, Space
from zeroin.space.scales import Array
from zeroin.types import Kind, Range

DRAWS = 32  # points, of which the first that was not tried is taken


@dataclass(frozen=True, slots=True)
class View:
    """A history as a decision needs it."""

    settings: Settings
    space: Space
    history: History
    ladder: tuple[int, ...]
    seed: int
    memory: Memory
    screen: int
    glance: int  # epochs of a first look; 0 where it tells too little of later ones
    ranges: dict[str, Range]
    box: Box
    together: np.ndarray  # [D]: whether configs under way at once should agree in it

    @property
    def busy(self) -> set[int]:
        """Trials with a running job."""
        return {job.trial for job in self.history.running}

    @property
    def steps(self) -> tuple[int, ...]:
        """The rungs, and the first look below them where it tells enough."""
        return (self.glance, *self.ladder) if self.glance else self.ladder

    @property
    def wanted(self) -> list[int]:
        """How many trials of the screening round come to each of the steps; one in four goes on from a first look."""
        size, settings = self.screen, self.settings
        wanted = [rungs.survivors(size, settings.keep, rung) for rung in range(len(self.ladder))]
        if not self.glance:
            return wanted
        looks = settings.glances if self.listed is None else min(settings.glances, len(self.listed) - size)
        return [size + looks, size + looks // 4, *wanted[1:]]

    def share(self, trust: float) -> float:
        """The share of the epochs for exploring; half of `doubt` where every try costs a full training."""
        settings = self.settings
        part = settings.held if self.advice_holds else 1.0
        if trust >= settings.trust:
            return part * settings.share
        return part * (settings.doubt if len(self.ladder) > 1 else settings.doubt / 2)

    @property
    def advice_holds(self) -> bool:
        """Whether all that the playbook advised was tried, and the middle one is ahead of what is fresh, all early."""
        low = self.ladder[0]
        screened = rungs.screened(self.history, self.screen)
        tried = [t for t in screened if t.epoch >= low or t.status.is_failure]
        advised = sorted(rungs.loss_at(t, low) for t in tried if t.kind is Kind.PLAYBOOK)
        fresh = [rungs.loss_at(t, low) for t in tried if t.kind is Kind.SCREEN]
        if not advised or len(advised) < len(self.history.advice):
            return False
        return advised[len(advised) // 2] < min(fresh, default=np.inf)  # one may be ahead by chance

    @property
    def leads(self) -> Array:
        """Points [k, D] of configs that did well in past studies."""
        return self.memory.points(self.space, self.history.leads)

    def rng(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose of each decision."""
        return generator(self.seed, purpose, len(self.history.jobs))

    @property
    def tried(self) -> Array:
        """Points [n, D] of all trials."""
        return self.memory.encode(self.space, self.history.trials)

    @property
    def listed(self) -> Array | None:
        """Points [n, D] of all configs of the ranges as declared and as they are now; None where they are many."""
        ranges = {
            name: self.ranges[name] if isinstance(param, Choice) else _both(param.range, self.ranges[name])
            for name, param in self.space.params.items()
        }
        return self.memory.listed(self.space, ranges)

    @property
    def end(self) -> str:
        """What is to be said where all listed configs were tried; empty where they are too many, or it was said."""
        regions = self.history.regions
        why = "" if self.listed is None else finite.over(len(self.listed))
        return "" if regions and regions[-1].why == why else why

    def untried(self, box: Box, chosen: Sequence[Array], rng: np.random.Generator) -> Array | None:
        """A point [D] of a box, at random, that was neither tried nor chosen; None where all that are listed were.

        Where configs are too many to be listed and yet no draw is a new one, one that was tried.
        """
        draws = box.uniform(DRAWS, rng)
        seen = [*self.tried, *chosen]
        fresh = draws[~finite.among(draws, seen)]
        if len(fresh) or self.listed is None:
            return np.asarray(fresh[0] if len(fresh) else draws[0])
        left = self.listed[~finite.among(self.listed, seen)]
        return np.asarray(left[rng.integers(len(left))]) if len(left) else None

    @property
    def whole(self) -> Box:
        """The ranges as declared and as they are now: the playbook may have begun with others, and mislead."""
        low, high = self.space.span(self.space.ranges).T
        return replace(self.box, low=np.minimum(low, self.box.low), high=np.maximum(high, self.box.high))


def _both(declared: Range, now: Range) -> Range:
    """The range of a number that holds two."""
    return min(declared[0], now[0]), max(declared[1], now[1])  # type: ignore[type-var]
