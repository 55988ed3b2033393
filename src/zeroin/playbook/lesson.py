"""A lesson: what one study taught, in a form that is small, readable and comparable with others.

Scores are the model's losses at the full budget on a scale that all studies share: 0 is the best config of the study,
1 the middle one of its coarse round. They are what later studies are advised by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from zeroin.catalogue import CATALOGUE
from zeroin.errors import PlaybookError
from zeroin.history import History
from zeroin.playbook.scenario import Scenario
from zeroin.search import rungs, surrogate
from zeroin.search.importance import importances
from zeroin.search.model import Features, Model, build
from zeroin.search.rows import Memory
from zeroin.search.surrogate import one_blas_thread
from zeroin.space import Choice, Hyperparameter, Space
from zeroin.space.plain import OUTSIDE
from zeroin.space.scales import Array
from zeroin.space.words import range_words
from zeroin.types import Config, Kind, Range, Value
from zeroin.wording import config_words, counted

FEWEST = 8  # trials with a loss that teach something
BEST, OTHERS = 16, 16  # configs kept: so many of the best, and evenly of the others
WORST = 2.0  # scores beyond are all alike: bad
NOISE = 1e-2  # of a score, in variances of the scores
LEAST = 0.05  # what a lesson counts at least


@dataclass(frozen=True)  # no slots: cached_property keeps its value in the instance
class Lesson:
    """What a study taught.

    Args:
        name, created: of the study; together they tell one from all others.
        version: of zeroin that ran it.
        scenario: what was tuned, see `scenario.py`.
        space: as it was searched.
        max_epochs: the deepest budget of one trial.
        trainings: full trainings that the search spent.
        configs: the best first, with `scores`.
        lengths: by hyperparameter, how far along its unit interval the loss stays alike.
        signal: the model's signal variance.
        importance: by hyperparameter, the share of the loss's variance that is gone when it is held.
        good: by hyperparameter, where the middle eight tenths of the best fifth lie; of a choice, the options in it;
            without what none of them has.
        luck: the share of the spread of scores that other trials' configs do not tell of one left out: luck of the
            seed and of the validation set, and what so few trials cannot tell. None of a lesson that does not say.
        levels: what the study's model sees at scores 0 and 1: logs of how far losses are from perfect, by which studies
            of one task are compared. None of a lesson that does not say.
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
        """How much the lesson counts, 0.05 to 1: the share of the spread of scores that the configs tell."""
        return 1.0 if self.luck is None else max(LEAST, 1.0 - self.luck)

    def mattered(self, name: str) -> float:
        """The share of the spread of scores, luck included, that is gone when a hyperparameter is held."""
        share = self.importance.get(name, 0.0)  # in older lessons above 1, as a finite sample may have it
        return self.trust * min(1.0, share)

    def shares(self, space: Space, scenario: Scenario) -> list[str]:
        """What both search and mean the same by: names of the catalogue, and all others in studies of one task."""
        same = scenario.get("task") is not None and scenario.get("task") == self.scenario.get("task")
        both = [n for n, p in space.params.items() if not p.held and self._searched(n)]
        return [n for n in both if (same or n in CATALOGUE) and type(space[n]) is type(self.space[n])]

    def _searched(self, name: str) -> bool:
        return name in self.space.params and not self.space[name].held

    def line(self) -> str:
        """The study and what it taught in one line."""
        best = ", ".join(f"{name} {self._good_words(name)}" for name in self.ranked[:3])
        luck = "; mostly luck" if self.trust < 0.5 else ""
        return f"{self.name} ({', '.join([f'{self.trainings:g} trainings', *self._date])}): good {best}{luck}"

    def words(self) -> str:
        """All that it says, in lines."""
        facts = ", ".join(f"{fact} {value}" for fact, value in self.scenario.items())
        spent = f"{self.trainings:g} full trainings of {counted(self.max_epochs, 'epoch')}"
        rows = [f"  {n}: good {self._good_words(n)}, mattered {self.mattered(n):.0%}" for n in self.ranked]
        if self.luck is not None:
            rows.append(f"  luck: {self.luck:.0%} of the spread of scores; the lesson counts so much less")
        head = [f"{self.name}: {facts}", ", ".join([spent, *self._date])]
        return "\n".join([*head, *rows, f"  best config: {config_words(self.configs[0])}"])

    def _good_words(self, name: str) -> str:
        return range_words(self.space[name], self.good[name])

    @property
    def _date(self) -> list[str]:
        """The day; of those that come with zeroin it is not told."""
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
        units = features(_places(self.space, self.configs))
        return surrogate.condition(units, np.array(self.scores), theta, features.prior.groups)


@one_blas_thread
def scores(lessons: Sequence[Lesson], configs: Sequence[Config]) -> tuple[Array, Array]:
    """What configs of any space would have scored in past studies, by their models; unknown names do not count.

    Returns:
        Mean and standard deviation, each [lessons, N]; lower is better.
    """
    found: list[tuple[Array, Array]] = []
    known: list[tuple[Space, Array]] = []  # many studies have one space
    for lesson in lessons:
        features = next((units for space, units in known if space == lesson.space), None)
        if features is None:
            features = Features.of(lesson.space, (1,))(np.clip(_places(lesson.space, configs), 0.0, 1.0))
            known.append((lesson.space, features))
        found.append(lesson._posterior.predict(features))
    mean, sd = np.array(found).transpose(1, 0, 2)
    return mean, sd


@one_blas_thread
def lesson_of(
    name: str,
    space: Space,
    history: History,
    *,
    scenario: Scenario,
    created: str = "",
    version: str = "",
    memory: Memory | None = None,
) -> Lesson:
    """What a study's history teaches.

    Args:
        name, space, scenario, created, version: see `Lesson`.
        history: of the study.
        memory: of that history, with what the search knew beside it; None: what it knows unless told otherwise.

    Raises:
        PlaybookError: fewer than eight trials worked, or all are alike.
    """
    ladder, memory = rungs.ladder(history.max_epochs), memory or Memory()
    rows = memory.rows(space, history, ladder)
    worked = np.unique(rows.trial[np.isfinite(rows.loss)])
    if len(worked) < FEWEST:
        raise PlaybookError(
            f"a study teaches from {FEWEST} trials that worked; {name!r} has {len(worked)}: go on with it first."
        )
    model = build(rows, Features.of(space, ladder), memory)
    low, unit = _scale(model, history, memory)
    score = np.clip((model.mean - low) / unit, 0.0, WORST)
    order = np.argsort(score, kind="stable")
    shown = kept(score, BEST, OTHERS)
    fifth = [space.config(u) for u in model.units[order[: max(3, len(order) // 5)]]]
    lengths = 1.0 / model.posterior.inverse_lengths
    first = {int(group): j for j, group in reversed(list(enumerate(model.features.prior.groups)))}
    return Lesson(
        name,
        created,
        version,
        scenario,
        space,
        history.max_epochs,
        round(history.spent / history.max_epochs, 2),
        tuple(_short(space.config(u)) for u in model.units[shown]),
        tuple(round(float(s), 4) for s in score[shown]),
        {n: _digits(lengths[first[j]]) for j, n in enumerate(space)},
        _digits(model.posterior.signal),
        {i.name: round(i.mean, 3) for i in importances(space, history, max_epochs=history.max_epochs, memory=memory)},
        goods(space, fifth),
        round(_luck(model, low, unit), 3),
        (_digits(low + model.trend), _digits(low + model.trend + unit)),
    )


def kept(scores: Array, best: int, others: int) -> np.ndarray:
    """The rows of the best of scores [N], the best first, and of so many others spread evenly over the rest."""
    order = np.argsort(scores, kind="stable")
    rest = order[best:]
    return np.append(order[:best], rest[np.linspace(0, len(rest) - 1, min(others, len(rest))).astype(int)])


def goods(space: Space, configs: Sequence[Config]) -> dict[str, Range]:
    """By hyperparameter, where the middle eight tenths of configs lie; of a choice, the options in them."""
    return {n: _good(p, have) for n, p in space.params.items() if not p.held and (have := _values(n, configs))}


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


def _scale(model: Model, history: History, memory: Memory) -> tuple[float, float]:
    """Where scores begin, at the best config by the model, and how far the coarse round's middle one is from it."""
    coarse = [t.number for t in history.trials if t.kind is Kind.SCREEN and t.number in model.tried]
    shown = memory.units[coarse] if len(coarse) > 2 else model.units
    low, middle = float(model.mean.min()), float(np.median(model.posterior.expected(model.features(shown))))
    if middle - low < 1e-9:
        raise PlaybookError("a study teaches where its configs differ; all of them did alike: search wider ranges.")
    return low, middle - low


def _luck(model: Model, low: float, unit: float) -> float:
    """The share of the spread of scores that other trials' configs do not tell of a trial left out."""
    scale = model.posterior.scale / unit
    first = (model.posterior.mean - low) / unit
    seen, predicted = (np.minimum(first + scale * x, WORST) for x in model.posterior.left_out(model.owners)[:2])
    told = float(np.corrcoef(seen, predicted)[0, 1])
    return 1.0 - max(0.0, told) ** 2 if np.isfinite(told) else 1.0


def _values(name: str, configs: Sequence[Config]) -> list[Value]:
    return [config[name] for config in configs if name in config]


def _good(param: Hyperparameter, values: Sequence[Value]) -> Range:
    if isinstance(param, Choice):
        return tuple(option for option in param.options if option in values)
    low, high = np.quantile([param.unit(v) for v in values], [0.1, 0.9])
    return tuple(_plain(param.value(float(u))) for u in (low, high))


def _places(space: Space, configs: Sequence[Config]) -> Array:
    """The points of configs of any space, [N, D]; what this one does not know, or cannot place, is at its default."""
    places = np.empty((len(configs), len(space)))
    for j, (name, param) in enumerate(space.params.items()):
        start = param.unit(param.start)
        units = [param.unit(config[name]) if name in config else start for config in configs]
        places[:, j] = [start if unit <= -OUTSIDE else unit for unit in units]
    return places


def _short(config: Config) -> Config:
    return {name: _plain(value) for name, value in config.items()}


def _plain(value: Value) -> Value:
    return _digits(value) if isinstance(value, float) else value


def _digits(value: float) -> float:
    """Six significant digits, of 1 - value where that is what counts."""
    value = float(value)
    return 1.0 - float(f"{1.0 - value:.6g}") if 0.9 < value < 1.0 else float(f"{value:.6g}")
