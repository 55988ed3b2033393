"""A space as a table for reading."""

from collections.abc import Mapping

from zeroin.space.choice import Choice
from zeroin.space.numbers import Float
from zeroin.space.params import Hyperparameter

COLUMNS = ("hyperparameter", "range", "scale", "default", "limits", "only when")


def text(params: Mapping[str, Hyperparameter]) -> str:
    """A line a hyperparameter, columns of equal width; empty columns are left out.

    >>> print(text({"lr": Float(1e-4, 1.0, scale="log"), "optimizer": Choice("sgd", "adamw")}))
    hyperparameter  range        scale   default
    lr              0.0001..1.0  log     0.01
    optimizer       sgd, adamw   choice  sgd
    """
    rows = [COLUMNS, *(_row(name, param) for name, param in params.items())]
    kept = [j for j in range(len(COLUMNS)) if any(row[j] for row in rows[1:])]
    width = {j: max(len(row[j]) for row in rows) for j in kept}
    return "\n".join("  ".join(row[j].ljust(width[j]) for j in kept).rstrip() for row in rows)


def _row(name: str, param: Hyperparameter) -> tuple[str, ...]:
    when = " and ".join(f"{parent}={_several(allowed)}" for parent, allowed in (param.when or {}).items())
    if param.fixed is not None:
        return name, str(param.fixed), "fixed", str(param.start), "", when
    if isinstance(param, Choice):
        return name, ", ".join(map(str, param.options)), "choice", str(param.start), "", when
    zero = "0, " if isinstance(param, Float) and param.zero else ""
    limits = f"{param.legal[0]}..{param.legal[1]}" if param.limits else ""
    return name, f"{zero}{param.low}..{param.high}", param.scale, str(param.start), limits, when


def _several(allowed: object) -> str:
    return " or ".join(map(str, allowed)) if isinstance(allowed, tuple) else str(allowed)
