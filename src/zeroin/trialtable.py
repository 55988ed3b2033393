"""Trials as a table: a row a trial, a column for each of its facts, for each hyperparameter and for each metric."""

from collections.abc import Iterator, Sequence

from zeroin.space import Space
from zeroin.types import Trial, Value

# Of a trial, in every table: `epoch` is how far it was trained, `loss` its best at any epoch, first at `best_epoch`.
FIELDS = ("number", "kind", "status", "epoch", "loss", "best_epoch", "seed", "why", "paused", "note")


def columns(space: Space, trials: Sequence[Trial] = ()) -> list[str]:
    """`FIELDS`, then the hyperparameters, `config_` before one that is called like a field, then what else was reported
    of these trials, `metric_` before what is called like one of those.

    >>> from zeroin.space import Float
    >>> columns(Space(lr=Float(0, 1), seed=Float(0, 1)))[-2:]
    ['lr', 'config_seed']
    """
    known = [*FIELDS, *(f"config_{name}" if name in FIELDS else name for name in space)]
    return [*known, *(f"metric_{name}" if name in known else name for name in _metrics(trials))]


def rows(space: Space, trials: Sequence[Trial]) -> Iterator[list[Value]]:
    """The values under `columns` of each trial; None where a hyperparameter is inactive. Metrics are those of
    `best_epoch`, None where there is none."""
    names = _metrics(trials)
    for trial in trials:
        best = trial.metrics[trial.best_epoch - 1] if trial.best_epoch else {}
        yield [
            *(getattr(trial, field) for field in FIELDS),
            *(trial.config.get(name) for name in space),
            *(best.get(name) for name in names),
        ]


def _metrics(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for seen in trial.metrics for name in seen))
