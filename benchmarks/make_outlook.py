"""Learns how much losses still fall, from the curves of random configs: src/zeroin/search/outlook.json.

    python benchmarks/make_outlook.py                            # from LCBench's 17 tasks, a minute
    python benchmarks/make_outlook.py --without 126026 --out x.json      # as if that task had never been seen

Source: LCBench by the surrogate of YAHPO Gym 1.0.2 (families/lcbench.py): SGD with momentum, 52 epochs, error of
validation. Of each task 700 random configs; among those in the better six tenths at a rung, a ridge regression of what
the logarithm of the error still falls, in spreads of the task's losses, on `zeroin.search.outlook.terms`. Written: the
mean of the tasks' weights, so that no task counts more than another.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from families import Array, Dim, Task, load, places
from families.lcbench import LCBENCH_DIMS
from zeroin.catalogue import common
from zeroin.search.outlook import NAMES, since, terms
from zeroin.search.rungs import ladder

OUT = Path(__file__).resolve().parents[1] / "src" / "zeroin" / "search" / "outlook.json"
CONFIGS = 700
BETTER = 0.6  # of the configs at a rung that count: what becomes of the poor ones matters to nobody
RIDGE = 1.0
TAIL = 2.0  # as `zeroin.search.model` cuts losses off


def per_task(tasks: Sequence[Task]) -> dict[str, Array]:
    """Each task's own weights [3, F]; its random configs follow from its name."""
    names = learned()
    return {t.name: _weights(t, names, np.random.default_rng(int(t.name))) for t in tasks}


def learned() -> dict[str, Dim]:
    """LCBench's hyperparameters by their names in the catalogue."""
    dims = {common(d.name): d for d in LCBENCH_DIMS}
    return {name: dims[name] for name in NAMES}


def _weights(task: Task, names: dict[str, Dim], rng: np.random.Generator) -> Array:
    units = rng.random((CONFIGS, len(task.dims)))
    curve = task.open()
    configs = [{d.name: d.value(u) for d, u in zip(task.dims, row, strict=True)} for row in units]
    losses = np.log(np.maximum(np.minimum.accumulate([curve(c, 0) for c in configs], axis=1), 1e-3))
    rungs = np.array(ladder(task.max_epochs))
    middle = np.median(losses[:, rungs - 1])
    losses = np.minimum(losses, middle + TAIL * (middle - losses.min()))
    losses /= losses[:, rungs - 1].std()
    column = [task.dims.index(names[name]) for name in names]
    traits = 2.0 * units[:, column] - 1.0
    return np.array([_fit(losses, traits, int(t), float(np.median(losses[:, rungs[0] - 1]))) for t in rungs[:-1]])


def _fit(losses: Array, traits: Array, epoch: int, early: float) -> Array:
    now = losses[:, epoch - 1]
    slope = (losses[:, since(epoch) - 1] - now) / np.log(epoch / since(epoch))
    good = now <= np.quantile(now, BETTER)
    x = terms(now - early, slope, traits)[good]
    pull = RIDGE * np.eye(x.shape[1])
    pull[0, 0] = 1e-3
    return np.asarray(np.linalg.solve(x.T @ x + pull, x.T @ (now - losses[:, -1])[good]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", nargs="*", default=[], help="tasks that are left out")
    parser.add_argument("--out", type=Path, default=OUT)
    places(parser)
    given = parser.parse_args()
    found = per_task([t for t in load("lcbench", given.data, given.cache) if t.name not in given.without])
    data = {
        "source": "LCBench, surrogate of YAHPO Gym 1.0.2 (Apache-2.0): tasks " + " ".join(found),
        "learned": {name: [d.low, d.high, d.scale] for name, d in learned().items()},
        "weights": np.mean(list(found.values()), axis=0).round(4).tolist(),
    }
    given.out.write_text(json.dumps(data) + "\n", "utf-8")


if __name__ == "__main__":
    main()
