"""A space as a table for reading."""

from collections.abc import Mapping

from zeroin.space.choice import Choice
from zeroin.space.params import Hyperparameter
from zeroin.space.words import range_words, when_words, zero_words
from zeroin.wording import value_words

COLUMNS = ("hyperparameter", "range", "scale", "default", "limits", "only when")


def text(params: Mapping[str, Hyperparameter]) -> str:
    """One line for each hyperparameter, in aligned columns; empty columns are left out.

    >>> from zeroin.space.numbers import Float
    >>> print(text({"lr": Float(1e-4, 1.0, scale="log"), "optimizer": Choice("sgd", "adamw")}))
    hyperparameter  range      scale   default
    lr              1e-4..1    log     0.01
    optimizer       sgd/adamw  choice  sgd
    """
    rows = [COLUMNS, *(_row(name, param) for name, param in params.items())]
    kept = [j for j in range(len(COLUMNS)) if any(row[j] for row in rows[1:])]
    width = {j: max(len(row[j]) for row in rows) for j in kept}
    return "\n".join("  ".join(row[j].ljust(width[j]) for j in kept).rstrip() for row in rows)


def _row(name: str, param: Hyperparameter) -> tuple[str, ...]:
    start, when = value_words(param.start), when_words(param)
    if param.held:
        return name, value_words(param.start), "fixed", start, "", when
    searched = range_words(param, param.range) + zero_words(param)
    if isinstance(param, Choice):
        return name, searched, "choice", start, "", when
    return name, searched, param.scale, start, range_words(param, param.legal) if param.limits else "", when
