"""A lesson: what one study taught, as a small and readable record that can be compared with those of other studies.

Its scores are the model's losses at the full budget, on a scale that all studies share: 0 is the best config of the
study, 1 the median of its coarse round. Later studies are advised by them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from zeroin.catalogue import CATALOGUE, called, common
from zeroin.playbook.scenario import Scenario
from zeroin.search import surrogate
from zeroin.search.model import Features
from zeroin.search.surrogate import one_blas_thread
from zeroin.space import Space
from zeroin.space.plain import OUTSIDE
from zeroin.space.scales import Array
from zeroin.space.words import range_words
from zeroin.types import Config, Range
from zeroin.wording import config_words, counted, percent

WORST = 2.0  # scores are clipped here: all that are worse are simply bad
NOISE = 1e-2  # variance of the noise of a score, relative to the variance of the scores
LEAST = 0.05  # the least weight that a lesson can have


@dataclass(frozen=True)  # no slots: cached_property keeps its value in the instance
class Lesson:
    """What a study taught.

    Args:
        name, created: of the study; together they identify it.
        version: of the zeroin that ran it.
        scenario: what was tuned, see `scenario.py`.
        space: that was searched.
        max_epochs: the number of epochs of a full training.
        trainings: how many full trainings the search spent.
        configs, scores: of tried configs, the best first.
        lengths: by hyperparameter, the model's length scale on the unit interval.
        signal: the model's signal variance.
        importance: by hyperparameter, the share of the loss's variance that vanishes when it is held fixed.
        good: by hyperparameter, the 10 % to 90 % quantiles of its values in the best fifth of the configs; for a
            choice, the options in them. Hyperparameters that none of these configs has are left out.
        luck: the share of the variance of scores that the model does not explain for trials that are left out: luck of
            the seed and of the validation set, and what so few trials cannot show. None in older lessons.
        levels: the warped losses at scores 0 and 1, by which studies of the same task are compared. None in older
            lessons.
    """

    name: str
    created: str
    version: str
    scenario: Scenario
    space: Space
    max_epochs: int
    trainings: float
    configs: tuple[Config, ...]
    scores: tuple[float, ...]
    lengths: Mapping[str, float]
    signal: float
    importance: Mapping[str, float]
    good: Mapping[str, Range]
    luck: float | None = None
    levels: tuple[float, float] | None = None

    @property
    def trust(self) -> float:
        """The weight of the lesson, 0.05 to 1: the share of the variance of scores that its configs explain."""
        return 1.0 if self.luck is None else max(LEAST, 1.0 - self.luck)

    def mattered(self, name: str) -> float:
        """The share of the variance of scores, luck included, that vanishes when a hyperparameter is held fixed."""
        share = self.importance.get(name, 0.0)  # in older lessons it may exceed 1, as that of a finite sample can
        return self.trust * min(1.0, share)

    def shares(self, space: Space, scenario: Scenario) -> list[str]:
        """The hyperparameters that this study and a new one have in common.

        Both must search them. What the catalogue knows means the same everywhere; other names only in the same task.
        """
        same = scenario.get("task") is not None and scenario.get("task") == self.scenario.get("task")
        both = [n for n, p in space.params.items() if not p.held and self._searched(n)]
        return [n for n in both if (same or common(n) in CATALOGUE) and type(space[n]) is type(self.space[n])]

    def as_in(self, names: Iterable[str]) -> "Lesson":
        """The lesson with the names that another study has, `names`, for the catalogue's hyperparameters.

        >>> lesson.as_in(["learning_rate"]).good["learning_rate"]  # doctest: +SKIP
        (0.00087, 0.0028)
        """
        theirs = called(names)
        other = {own: theirs[name] for name, own in called(self.space).items() if name in theirs}
        other = {own: name for own, name in other.items() if name not in self.space.params}
        if not other:
            return self

        def told(values: Mapping[str, Any]) -> dict[str, Any]:
            return {other.get(name, name): value for name, value in values.items()}

        return replace(
            self,
            space=self.space.renamed(other),
            configs=tuple(told(config) for config in self.configs),
            lengths=told(self.lengths),
            importance=told(self.importance),
            good=told(self.good),
        )

    def _searched(self, name: str) -> bool:
        return name in self.space.params and not self.space[name].held

    def line(self) -> str:
        """The study and what it taught in one line."""
        best = ", ".join(f"{name} {self._good_words(name)}" for name in self.ranked[:3])
        luck = "; mostly luck" if self.trust < 0.5 else ""
        return f"{self.name} ({', '.join([f'{self.trainings:g} trainings', *self._date])}): good {best}{luck}"

    def words(self) -> str:
        """The whole lesson, in several lines."""
        facts = ", ".join(f"{fact} {value}" for fact, value in self.scenario.items())
        spent = f"{self.trainings:g} full trainings of {counted(self.max_epochs, 'epoch')}"
        rows = [f"  {n}: good {self._good_words(n)}, mattered {percent(self.mattered(n))}" for n in self.ranked]
        if self.luck is not None:
            rows.append(f"  luck: {percent(self.luck)} of the spread of scores; the lesson counts so much less")
        head = [f"{self.name}: {facts}", ", ".join([spent, *self._date])]
        return "\n".join([*head, *rows, f"  best config: {config_words(self.configs[0])}"])

    def _good_words(self, name: str) -> str:
        return range_words(self.space[name], self.good[name])

    @property
    def _date(self) -> list[str]:
        """The day it was learned; for lessons shipped with zeroin, nothing."""
        return [self.created[:10]] if self.created else []

    @property
    def ranked(self) -> list[str]:
        """The searched hyperparameters, the most important first."""
        return sorted(self.good, key=lambda name: -self.importance.get(name, 0.0))

    @cached_property
    def _posterior(self) -> surrogate.Posterior:
        features = Features.of(self.space, (1,))
        lengths = [self.lengths.get(name, 1.0) for name in self.space]
        theta = np.log(np.array([*lengths, NOISE, self.signal]))
        units = features(_points(self.space, self.configs))
        return surrogate.condition(units, np.array(self.scores), theta, features.prior.groups)


@one_blas_thread
def scores(lessons: Sequence[Lesson], configs: Sequence[Config]) -> tuple[Array, Array]:
    """The scores that configs would have had in past studies, by these studies' models.

    The configs may be of any space; hyperparameters that a study does not know are ignored.

    Returns:
        Mean and standard deviation, each [lessons, N]; lower is better.
    """
    found: list[tuple[Array, Array]] = []
    known: list[tuple[Space, Array]] = []  # many studies have one space
    for lesson in lessons:
        features = next((units for space, units in known if space == lesson.space), None)
        if features is None:
            features = Features.of(lesson.space, (1,))(np.clip(_points(lesson.space, configs), 0.0, 1.0))
            known.append((lesson.space, features))
        found.append(lesson._posterior.predict(features))
    mean, sd = np.array(found).transpose(1, 0, 2)
    return mean, sd


def to_json(lesson: Lesson) -> dict[str, Any]:
    """Plain data; `from_json` reads it."""
    plain = {key: getattr(lesson, key) for key in lesson.__dataclass_fields__}
    return plain | {"scenario": dict(lesson.scenario), "space": lesson.space.to_json()}


def from_json(data: Mapping[str, Any]) -> Lesson:
    """The inverse of `to_json`."""
    good = {name: tuple(values) for name, values in data["good"].items()}
    levels = data.get("levels")
    changed = {"space": Space.from_json(data["space"]), "good": good, "levels": levels and tuple(levels)}
    known = {key: value for key, value in data.items() if key in Lesson.__dataclass_fields__}  # a newer one has more
    return Lesson(**{**known, **changed, "configs": tuple(data["configs"]), "scores": tuple(data["scores"])})


def _points(space: Space, configs: Sequence[Config]) -> Array:
    """Configs of any space as points [N, D] of this one; what they lack, or has no place here, is at its default."""
    points = np.empty((len(configs), len(space)))
    for j, (name, param) in enumerate(space.params.items()):
        start = param.unit(param.start)
        units = [param.unit(config[name]) if name in config else start for config in configs]
        points[:, j] = [start if unit <= -OUTSIDE else unit for unit in units]
    return points
