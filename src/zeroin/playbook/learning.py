"""Learning: what a study's history teaches, as a `Lesson`."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from zeroin.errors import PlaybookError
from zeroin.header import Header
from zeroin.history import History
from zeroin.playbook.lesson import WORST, Lesson
from zeroin.playbook.scenario import scenario_of
from zeroin.search import hindsight
from zeroin.search.importance import importances
from zeroin.search.model import Model, build, correlation
from zeroin.search.rows import Memory
from zeroin.search.surrogate import one_blas_thread
from zeroin.space import Choice, Hyperparameter, Space
from zeroin.space.choice import key
from zeroin.space.scales import Array
from zeroin.types import Config, Kind, Range, Value

FEWEST = 8  # trials with a loss that teach something
NEAR = 1e-3  # of the unit interval: values are rounded
BEST, OTHERS = 16, 16  # configs kept: so many of the best, and evenly of the others


@one_blas_thread
def lesson_of(header: Header, history: History, memory: Memory | None = None) -> Lesson:
    """What a study teaches.

    Args:
        header: what it is.
        history: what it saw.
        memory: of this history, as the search used it; None: a new one.

    Raises:
        PlaybookError: fewer than eight trials worked, or all did equally well.
    """
    space = header.space
    memory = memory or Memory(space, history, hindsight.trusted(space, history))
    rows = memory.rows()
    worked = np.unique(rows.trial[np.isfinite(rows.loss)])
    if len(worked) < FEWEST:
        raise PlaybookError(
            f"a study needs {FEWEST} trials that worked to teach something; {header.name!r} has {len(worked)}: "
            f"go on with it first."
        )
    model = build(rows, memory)
    low, unit = _scale(model, memory)
    score = np.clip((model.mean - low) / unit, 0.0, WORST)
    order = np.argsort(score, kind="stable")
    shown = kept(score, BEST, OTHERS)
    tried = [history.trials[n].config for n in np.unique(model.owners)]  # some outside a space that was changed
    fifth = [tried[i] for i in order[: max(3, len(order) // 5)]]
    lengths = 1.0 / model.posterior.inverse_lengths
    first = {int(group): j for j, group in reversed(list(enumerate(model.features.prior.groups)))}
    mattered = importances(space, history, memory)
    return Lesson(
        name=header.name,
        created=header.created,
        version=version("zeroin"),
        scenario=header.scenario or scenario_of(None, space, history.max_epochs),  # your own loop may tell none
        space=space,
        max_epochs=history.max_epochs,
        trainings=round(history.spent / history.max_epochs, 2),
        configs=tuple({n: _plain(v) for n, v in tried[i].items()} for i in shown),
        scores=tuple(round(float(s), 4) for s in score[shown]),
        lengths={n: _digits(lengths[first[j]]) for j, n in enumerate(space)},
        signal=_digits(model.posterior.signal),
        importance={i.name: round(i.mean, 3) for i in mattered},
        good=goods(space, fifth),
        luck=round(_luck(model, low, unit), 3),
        levels=(_digits(low + model.trend), _digits(low + model.trend + unit)),
    )


def kept(scores: Array, best: int, others: int) -> np.ndarray:
    """The indices of the `best` lowest scores [N], the best first, and of `others` spread evenly over the rest."""
    order = np.argsort(scores, kind="stable")
    rest = order[best:]
    return np.append(order[:best], rest[np.linspace(0, len(rest) - 1, min(others, len(rest))).astype(int)])


def goods(space: Space, configs: Sequence[Config]) -> dict[str, Range]:
    """By hyperparameter, the 10 % to 90 % quantiles of its values in configs; for a choice, the options in them.

    Values that the space no longer has say nothing.
    """
    searched = {n: p for n, p in space.params.items() if not p.held}
    known = {n: [c[n] for c in configs if n in c and -NEAR <= p.unit(c[n]) <= 1.0 + NEAR] for n, p in searched.items()}
    return {n: _good(searched[n], values) for n, values in known.items() if values}


def _scale(model: Model, memory: Memory) -> tuple[float, float]:
    """The model's losses at score 0, the best config, and between scores 0 and 1, the median of the coarse round."""
    tried = set(model.tried.tolist())
    coarse = [t.number for t in memory.history.trials if t.kind is Kind.SCREEN and t.number in tried]
    shown = memory.units[coarse] if len(coarse) > 2 else model.units
    low, middle = float(model.mean.min()), float(np.median(model.expected(shown)))
    if middle - low < 1e-9:
        raise PlaybookError(
            "a study teaches something if its configs differ; all of them did equally well: search wider ranges."
        )
    return low, middle - low


def _luck(model: Model, low: float, unit: float) -> float:
    """The share of the variance of left-out trials' scores that the model, given all other trials, does not explain."""
    scale = model.posterior.scale / unit
    first = (model.posterior.mean - low) / unit
    seen, predicted = (np.minimum(first + scale * x, WORST) for x in model.posterior.left_out(model.owners)[:2])
    return 1.0 - max(0.0, correlation(seen, predicted)) ** 2


def _good(param: Hyperparameter, values: Sequence[Value]) -> Range:
    if isinstance(param, Choice):
        return tuple(option for option in param.options if key(option) in map(key, values))
    low, high = np.quantile([param.unit(v) for v in values], [0.1, 0.9])
    return tuple(_plain(param.value(float(u))) for u in (low, high))


def _plain(value: Value) -> Value:
    return _digits(value) if isinstance(value, float) else value


def _digits(value: float) -> float:
    """Round to six significant digits; for values close to 1, to six digits of 1 - value."""
    value = float(value)
    return 1.0 - float(f"{1.0 - value:.6g}") if 0.9 < value < 1.0 else float(f"{value:.6g}")
