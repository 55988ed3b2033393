"""What past studies advise a new one: a portfolio of configs, together good in as many as possible, and ranges.

Each candidate did well in one of them; what it would have scored in the others their models tell. Picked is, one after
the other, what lowers the mean of the best score over the studies most, each study weighted by how alike it is, and by
how far its scores are to be trusted: one of the same task for more than many of others.

Source: Feurer et al., "Auto-Sklearn 2.0", JMLR 23 (2022), section 3.1 (greedy portfolios).
"""

import json
from collections.abc import Collection, Sequence

import numpy as np

from zeroin.catalogue import PACE
from zeroin.playbook.lesson import Lesson, scores
from zeroin.playbook.pool import pooled
from zeroin.playbook.ranges import corrected
from zeroin.playbook.scenario import Scenario, weights
from zeroin.search import coarse
from zeroin.space import Choice, Space
from zeroin.space.plain import is_number
from zeroin.space.scales import Array
from zeroin.types import Advised, Config, Suggestion

MOST = 3  # configs tried at once
TOP = 8  # candidates of each past study
CLOSE = 0.09  # of the unit interval: a value that much outside the legal limits is moved to them (a word lies further)
DOUBT = 1.0  # standard deviations: what a past study can hardly tell of is no good bet
SURE = 0.95  # no past study tells all of a new one
LEADS = 128  # further configs that the model is to weigh
SHADE = 0.05  # scores much smaller than this are all alike
POINTS = 64  # of the new space at which past studies are compared


def advised(
    space: Space, scenario: Scenario, lessons: Sequence[Lesson], movable: Collection[str] = (), most: int = MOST
) -> Advised:
    """What past studies advise a new one: configs to try first, ranges, leads; nothing where none of them fits.

    Args:
        space: the new one.
        scenario: the new one.
        lessons: of past studies; those that share too little with the new one are not asked.
        movable: hyperparameters whose ranges may be corrected: nobody asked for the ranges that they have.
        most: configs to try at once, at most, the best bet first.
    """
    asked = pooled([lesson for lesson in lessons if _comparable(space, scenario, lesson)])
    pool = [(c, lesson) for lesson in asked for c in _mapped(space, lesson)]
    configs, origins = [c for c, _ in pool], [lesson for _, lesson in pool]
    if not configs:
        return Advised(())
    box = space.span(space.ranges)
    spread = [space.config(u) for u in box[:, 0] + coarse.points(0, POINTS, len(space), 0) * (box[:, 1] - box[:, 0])]
    mean, sd = scores(asked, [*configs, *spread])
    trust = _trusted(asked)
    agree = weights(scenario, [x.scenario for x in asked], mean[:, len(configs) :], trust)
    counts = trust * agree
    told = np.minimum(counts, SURE) ** 2
    sure = np.clip(mean + DOUBT * sd, 0.0, 1.0)[:, : len(configs)].T  # [candidates, lessons]
    weight = told / (1.0 - told)  # what a study tells of another, over what it leaves open
    weight = weight / weight.sum()
    chosen = greedy(apart(sure), weight, most)
    said = tuple(Suggestion(configs[i], _why(origins[i], sure[i], len(asked))) for i in chosen)
    others = [int(i) for i in np.argsort(apart(sure) @ weight, kind="stable") if i not in chosen]
    leads = tuple({json.dumps(configs[i]): configs[i] for i in others[:LEADS]}.values())
    known = [set(movable) & set(lesson.shares(space, scenario)) for lesson in asked]
    return Advised(said, corrected(space, list(zip(asked, counts.tolist(), known, strict=True))), leads)


def greedy(expected: Array, weight: Array, most: int) -> list[int]:
    """Rows of scores [candidates, studies], each the one that lowers the weighted mean of the column minima most."""
    best = np.ones(expected.shape[1])
    chosen: list[int] = []
    while len(chosen) < most:
        totals = np.minimum(best, expected) @ weight
        pick = int(totals.argmin())
        gain = float(best @ weight - totals[pick])
        if pick in chosen or gain <= 0.0:
            break
        chosen.append(pick)
        best = np.minimum(best, expected[pick])
    return chosen


def apart(scores: Array) -> Array:
    """Scores from 0 to 1 on a log scale: that a config is good or better counts, not whether it is bad or worse."""
    return np.asarray(np.log1p(scores / SHADE) / np.log1p(1.0 / SHADE))


def fitted(space: Space, config: Config) -> Config | None:
    """A config of another space as one of this: by name, values just outside the legal limits moved to them.

    What the other space does not have stands at its default; None where a value does not fit. What sets the time of an
    epoch stays within the range that was declared: batches fit for 1,000 examples take hours with 100,000.
    """
    units = space.units(config)
    for u, (name, param) in zip(units, space.params.items(), strict=True):
        if name not in config:
            continue
        if param.held:
            if isinstance(param, Choice) and u != param.unit(param.start):
                return None
            continue
        foreign = u < 0.0 if isinstance(param, Choice) else not is_number(config[name])
        if foreign or (name not in PACE and not -CLOSE <= u <= 1.0 + CLOSE):
            return None
    inside = space.span(space.ranges) + np.array([0.0, -1e-9])  # the very edge of a whole number is its neighbour's
    low, high = np.where([[name in PACE] for name in space], inside, [0.0, 1.0]).T
    return space.config(np.clip(units, low, high))


def _comparable(space: Space, scenario: Scenario, lesson: Lesson) -> bool:
    """Whether it knows at least half of what is searched, under the same optimizer where both say which."""
    searched = sum(not p.held for p in space.params.values())
    ours, theirs = scenario.get("optimizer", "any"), lesson.scenario.get("optimizer", "any")
    alike = ours == theirs or "any" in (ours, theirs)
    known = len(lesson.shares(space, scenario))
    return alike and known > 0 and 2 * known >= searched


def _trusted(lessons: Sequence[Lesson]) -> Array:
    """How far each is to be trusted; those that do not say what is luck, as far as the others on average."""
    told = [lesson.trust for lesson in lessons if lesson.luck is not None]
    usual = float(np.mean(told)) if told else 1.0
    return np.array([usual if lesson.luck is None else lesson.trust for lesson in lessons])


def _mapped(space: Space, lesson: Lesson) -> list[Config]:
    found = [fitted(space, config) for config in lesson.configs[:TOP]]
    return [config for config in found if config is not None]


def _why(origin: Lesson, expected: Array, studies: int) -> str:
    good = int((expected < 0.5).sum())
    of = f"; good in {good} of {studies} past studies for sure" if good > 1 else ""
    return f"did well in {origin.name}{of}"
