"""Trials as a table: a row a trial, a column for each of its facts and for each hyperparameter."""

from collections.abc import Iterable, Iterator

from zeroin.space import Space
from zeroin.types import Trial, Value

# Of a trial, in every table: `epoch` is how far it was trained, `loss` its best at any epoch, first at `best_epoch`.
FIELDS = ("number", "kind", "status", "epoch", "loss", "best_epoch", "seed", "why", "paused")


def columns(space: Space) -> list[str]:
    """`FIELDS`, then the hyperparameters; `config_` stands before one that is called like a field.

    >>> from zeroin.space import Float
    >>> columns(Space(lr=Float(0, 1), seed=Float(0, 1)))[-2:]
    ['lr', 'config_seed']
    """
    return [*FIELDS, *(f"config_{name}" if name in FIELDS else name for name in space)]


def rows(space: Space, trials: Iterable[Trial]) -> Iterator[list[Value]]:
    """The values under `columns` of each trial; None where a hyperparameter is inactive."""
    for trial in trials:
        yield [*(getattr(trial, field) for field in FIELDS), *(trial.config.get(name) for name in space)]
