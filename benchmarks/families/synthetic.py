"""Textbook functions."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from families.space import Array, Config, Dim
from families.task import Task, constant, known_best, noiseless, reference


def ellipsoid(x: Array) -> float:
    return float((10.0 ** (4 * np.arange(len(x)) / (len(x) - 1)) * x**2).sum())


def rosenbrock(x: Array) -> float:
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rastrigin(x: Array) -> float:
    return float((10 + x**2 - 10 * np.cos(2 * np.pi * x)).sum())


def ackley(x: Array) -> float:
    return float(20 * (1 - np.exp(-0.2 * np.sqrt((x**2).mean()))) + np.e - np.exp(np.cos(2 * np.pi * x).mean()))


def narrow_well(x: Array) -> float:
    """A flat bowl with a narrow well in it; only the first four hyperparameters matter."""
    r = float((x[:4] ** 2).mean())
    return 1.0 + 0.2 * r - math.exp(-r / (2 * 0.15**2))


# Function, dims, range, its value at the optimum.
SYNTHETIC: dict[str, tuple[Callable[[Array], float], int, float, float]] = {
    "ellipsoid": (ellipsoid, 20, 5.0, 0.0),
    "rosenbrock": (rosenbrock, 6, 2.0, 0.0),
    "rastrigin": (rastrigin, 10, 5.12, 0.0),
    "ackley": (ackley, 20, 5.0, 0.0),
    "narrow_well": (narrow_well, 8, 1.0, 0.0),
}


def synthetic(_data: Path, cache: Path) -> Iterator[Task]:
    """Textbook functions, moved so that no optimum lies in the centre (Rosenbrock excepted)."""
    for name, (function, size, half, best) in SYNTHETIC.items():
        shift = np.zeros(size) if name == "rosenbrock" else np.random.default_rng(size).uniform(-0.4, 0.4, size) * half
        dims = tuple(Dim(f"x{i}", "float", -half, half) for i in range(size))

        def truth(
            config: Config,
            function: Callable[[Array], float] = function,
            shift: Array = shift,
            dims: tuple[Dim, ...] = dims,
        ) -> Array:
            return np.array([function(np.array([float(config[d.name]) for d in dims]) - shift)])

        median = reference(f"synthetic-{name}", cache, partial(known_best, truth, dims, best))[1]
        yield Task("synthetic", name, dims, 1, constant(noiseless(truth)), best, median)
