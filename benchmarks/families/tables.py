"""Tables of real runs as tasks."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from families.space import Array, Config, Dim, Kind, Scale, place_of
from families.task import Curve, Task, median_loss

Kinds: TypeAlias = Mapping[str, tuple[Kind, Scale]]  # of hyperparameters by name, in the order of the dims


def table(dims: tuple[Dim, ...], settings: Array, curves: Array) -> Callable[[], Curve]:
    """An `open` for a table of runs: a config gets the nearest row of the table that its study has not been given yet.

    Near = Euclidean distance in the unit cube. settings (rows, dims): values of numeric hyperparameters; curves
    (rows, epochs): losses.
    """
    places = np.array([[d.unit(float(x)) for d, x in zip(dims, row, strict=True)] for row in settings])

    def start() -> Curve:
        free = np.ones(len(places), bool)

        def curve(config: Config, _seed: int) -> Array:
            distance = ((places - place_of(dims, config)) ** 2).sum(1)
            row = int(np.where(free, distance, np.inf).argmin())
            free[row] = False
            if not free.any():
                free[:] = True
            losses: Array = curves[row]
            return losses

        return curve

    return start


def table_task(family: str, name: str, dims: tuple[Dim, ...], settings: Array, curves: Array) -> Task:
    best = float(np.nanmin(np.where(np.isfinite(curves), curves, np.nan)))
    return Task(family, name, dims, curves.shape[1], table(dims, settings, curves), best, median_loss(curves[:, -1]))


def ranged(name: str, kind: Kind, scale: Scale, values: Array) -> Dim:
    """A hyperparameter that ranges over the values of a table."""
    return Dim(name, kind, float(values.min()), float(values.max()), scale)


def columns(archive: Any, kinds: Kinds) -> tuple[Array, tuple[Dim, ...]]:
    """The hyperparameters of a table, shape (rows, dims), and the ranges of their values.

    Args:
        archive: an npz file with `hp_names` and the values `X`, shape (rows, names).
        kinds: which of them are taken.
    """
    names = [str(name) for name in archive["hp_names"]]
    values = np.asarray(archive["X"], float)[:, [names.index(name) for name in kinds]]
    dims = (ranged(n, kind, scale, c) for (n, (kind, scale)), c in zip(kinds.items(), values.T, strict=True))
    return values, tuple(dims)
