"""COCO's functions: plain, in many dimensions, noisy, mixed-integer."""

import importlib
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from families.space import Array, Config, Dim
from families.task import Absent, Curve, Task, constant, known_best, noiseless, reference

BBOB = (1, 3, 6, 8, 10, 15, 17, 20, 21, 23)  # of each of COCO's groups of functions at least one
BBOB_NOISE = ("gauss", "cauchy")
MIXINT_FACTORS = {1: 1.0, 3: 0.1, 6: 0.01, 8: 0.01, 10: 0.001, 15: 0.1, 17: 10.0, 20: 0.1, 21: 1.0, 23: 10.0}


def _cocoex() -> Any:
    try:
        return importlib.import_module("cocoex")
    except ImportError:
        raise Absent("the bbob families need: pip install coco-experiment") from None


def bbob(
    _data: Path, cache: Path, family: str = "bbob", size: int = 5, noises: tuple[str | None, ...] = (None,)
) -> Iterator[Task]:
    """COCO's functions on [-5, 5], first instance. `noises`: see `with_bbob_noise`."""
    coco = _cocoex()
    dims = tuple(Dim(f"x{i}", "float", -5.0, 5.0) for i in range(size))
    for number in BBOB:
        problem = coco.BareProblem("bbob", number, size, 1)
        yield from _coco_tasks(family, f"f{number}-{size}d", dims, problem, float(problem.best_value()), cache, noises)


def bbob_mixint(_data: Path, cache: Path) -> Iterator[Task]:
    """Mixed-integer functions in 10 dimensions, 8 of them whole numbers; values are those of bbob times a factor."""
    coco = _cocoex()
    suite = coco.Suite("bbob-mixint", "", "dimensions:10 instance_indices:1")
    for number in BBOB:
        problem = suite.get_problem(f"bbob-mixint_f{number:03d}_i01_d10")
        integers = problem.number_of_integer_variables
        dims = tuple(
            Dim(f"x{i}", "int" if i < integers else "float", float(low), float(high))
            for i, (low, high) in enumerate(zip(problem.lower_bounds, problem.upper_bounds, strict=True))
        )
        best = MIXINT_FACTORS[number] * float(coco.BareProblem("bbob", number, 10, 1).best_value())
        yield from _coco_tasks("bbob-mixint", f"f{number}-10d", dims, problem, best, cache, (None,))


def _coco_tasks(
    family: str,
    name: str,
    dims: tuple[Dim, ...],
    problem: Callable[[Array], float],
    best: float,
    cache: Path,
    noises: tuple[str | None, ...],
) -> Iterator[Task]:
    def truth(config: Config) -> Array:
        return np.array([problem(np.array([float(config[d.name]) for d in dims]))])

    median = reference(
        f"{'bbob-mixint' if 'mixint' in family else 'bbob'}-{name}", cache, partial(known_best, truth, dims, best)
    )[1]
    for noise in noises:
        if noise is None:
            yield Task(family, name, dims, 1, constant(noiseless(truth)), best, median)
        else:
            curve = with_bbob_noise(truth, best, noise)
            yield Task(family, f"{name}-{noise}", dims, 1, constant(curve), best, median, truth)


def with_bbob_noise(truth: Callable[[Config], Array], best: float, noise: str) -> Curve:
    """The severe noise models of bbob-noisy (Hansen et al. 2009, section 1.2), on f - f_opt.

    Applied here, because the functions of the suite itself tell nobody their value without noise.
    """

    def curve(config: Config, seed: int) -> Array:
        rng = np.random.default_rng([seed, 7])
        gap = truth(config) - best
        if noise == "gauss":
            return np.asarray(best + gap * math.exp(rng.standard_normal()), np.float64)
        outlier = 1000 + (rng.random() < 0.2) * rng.standard_normal() / (abs(rng.standard_normal()) + 1e-199)
        shifted: Array = best + gap + max(0.0, outlier) - 1000.0
        return shifted

    return curve
