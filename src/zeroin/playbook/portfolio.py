"""What past studies advise a new one: a portfolio of configs that together do well in as many of them as possible.

Each candidate did well in one past study, and the models of the others predict its scores there. The portfolio is built
greedily: each step adds the config that most lowers the mean, over studies, of the best score in the portfolio. Studies
are weighted by similarity and by how far their scores can be trusted; one of the same task outweighs many others.

Source: Feurer et al., "Auto-Sklearn 2.0", JMLR 23 (2022), section 3.1 (greedy portfolios).
"""

import json
from collections.abc import Collection, Sequence

import numpy as np

from zeroin.catalogue import PACE, common
from zeroin.playbook.lesson import Lesson, scores
from zeroin.playbook.pool import pooled
from zeroin.playbook.ranges import corrected
from zeroin.playbook.scenario import Scenario, weights
from zeroin.search import coarse
from zeroin.space import Choice, Space
from zeroin.space.plain import is_number
from zeroin.space.scales import Array
from zeroin.types import Advised, Bet, Config

MOST = 3  # configs to try at once
TOP = 8  # candidates from each past study
CLOSE = 0.09  # values up to so far outside the legal limits, in unit intervals, are moved to them
DOUBT = 1.0  # so many standard deviations are added to predicted scores: uncertain candidates are bad bets
SURE = 0.95  # no past study tells everything about a new one
LEADS = 128  # further configs for the model to consider
SHADE = 0.05  # scores much smaller than this are equally good
POINTS = 64  # points of the new space at which past studies are compared


def advised(space: Space, scenario: Scenario, lessons: Sequence[Lesson], movable: Collection[str] = ()) -> Advised:
    """What past studies advise a new one.

    Args:
        space: of the new study.
        scenario: of the new study.
        lessons: of past studies; those that have too little in common with the new one are ignored.
        movable: hyperparameters whose ranges may be corrected, because the user did not choose them.

    Returns:
        Configs to try first, the best bet first; corrected ranges; leads. Nothing if no past study fits.
    """
    alike = [lesson.as_in(space) for lesson in lessons]
    asked = pooled([lesson for lesson in alike if _comparable(space, scenario, lesson)])
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
    chosen = greedy(apart(sure), weight, MOST)
    said = tuple(Bet(configs[i], _why(origins[i], sure[i], len(asked))) for i in chosen)
    others = [int(i) for i in np.argsort(apart(sure) @ weight, kind="stable") if i not in chosen]
    leads = tuple({json.dumps(configs[i]): configs[i] for i in others[:LEADS]}.values())
    known = [set(movable) & set(lesson.shares(space, scenario)) for lesson in asked]
    return Advised(said, corrected(space, list(zip(asked, counts.tolist(), known, strict=True))), leads)


def greedy(expected: Array, weight: Array, most: int) -> list[int]:
    """Greedily chosen rows of scores [candidates, studies]: each most lowers the weighted mean of the column minima."""
    best = np.ones(expected.shape[1])
    chosen: list[int] = []
    while len(chosen) < most:
        gains = np.maximum(best - expected, 0.0) @ weight
        pick = int(gains.argmax())
        if gains[pick] <= 0.0:
            break
        chosen.append(pick)
        best = np.minimum(best, expected[pick])
    return chosen


def apart(scores: Array) -> Array:
    """Scores from 0 to 1 on a log scale, on which differences between good configs count most."""
    return np.asarray(np.log1p(scores / SHADE) / np.log1p(1.0 / SHADE))


def fitted(space: Space, config: Config) -> Config | None:
    """A config of another space as one of this space; None if a value does not fit.

    Hyperparameters are matched by name. Values just outside the legal limits are moved to them, and what the config
    lacks is at its default. Hyperparameters that determine the time of an epoch stay within the declared range: batches
    that suit 1,000 examples take hours with 100,000.
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
        if foreign or (common(name) not in PACE and not -CLOSE <= u <= 1.0 + CLOSE):
            return None
    inside = space.span(space.ranges) + np.array([0.0, -1e-9])  # the very edge of a whole number is its neighbour's
    low, high = np.where([[common(name) in PACE] for name in space], inside, [0.0, 1.0]).T
    return space.config(np.clip(units, low, high))


def _comparable(space: Space, scenario: Scenario, lesson: Lesson) -> bool:
    """Whether a lesson knows at least half of the searched hyperparameters, for the same optimizer if both name one."""
    searched = sum(not p.held for p in space.params.values())
    ours, theirs = scenario.get("optimizer", "any"), lesson.scenario.get("optimizer", "any")
    alike = ours == theirs or "any" in (ours, theirs)
    known = len(lesson.shares(space, scenario))
    return alike and known > 0 and 2 * known >= searched


def _trusted(lessons: Sequence[Lesson]) -> Array:
    """How far each lesson can be trusted; those that do not know their luck, as far as the others on average."""
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
