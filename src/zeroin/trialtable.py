"""Trials as a table: one row each, with a column for each field, hyperparameter and metric."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from zeroin.errors import StudyError
from zeroin.space import Space
from zeroin.types import Trial, Value

if TYPE_CHECKING:
    import pandas as pd

# Attributes of a trial in every table: trained for `epoch` epochs, the best `loss` first reached at `best_epoch`.
FIELDS = ("number", "kind", "status", "epoch", "loss", "best_epoch", "seed", "why", "paused", "note")


def columns(space: Space, trials: Sequence[Trial] = ()) -> list[str]:
    """The names of the columns: `FIELDS`, the hyperparameters, and the metrics that these trials reported.

    A hyperparameter named like a field gets the prefix `config_`, a metric named like either the prefix `metric_`.

    >>> from zeroin.space import Float
    >>> columns(Space(lr=Float(0, 1), seed=Float(0, 1)))[-2:]
    ['lr', 'config_seed']
    """
    known = [*FIELDS, *(f"config_{name}" if name in FIELDS else name for name in space)]
    return [*known, *(f"metric_{name}" if name in known else name for name in _metrics(trials))]


def rows(space: Space, trials: Sequence[Trial]) -> Iterator[list[Value]]:
    """The values of each trial under `columns`.

    A hyperparameter that is inactive is None. Metrics are `best_metrics`, None where one was not reported there.
    """
    names = _metrics(trials)
    for trial in trials:
        best = trial.best_metrics
        yield [
            *(getattr(trial, field) for field in FIELDS),
            *(trial.config.get(name) for name in space),
            *(best.get(name) for name in names),
        ]


def frame(space: Space, trials: Sequence[Trial]) -> "pd.DataFrame":
    """The table as a pandas DataFrame.

    Raises:
        StudyError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415  an optional dependency
    except ImportError as error:
        raise StudyError(
            "a DataFrame needs pandas; pandas is not installed: run `pip install pandas`, or use study.trials."
        ) from error

    return pd.DataFrame(list(rows(space, trials)), columns=columns(space, trials))


def _metrics(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for seen in trial.metrics for name in seen))
