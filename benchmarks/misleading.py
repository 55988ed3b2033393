"""What becomes of the search where short trainings mislead, beside random search: made-up curves of known ends.

    python benchmarks/misleading.py --seeds 8              # about two minutes

A rotated quadratic q(x) in four hyperparameters is the loss of a full training of 27 epochs, plus 0.05. Until then the
curves tell the truth (`plain`), nothing (`same`, `chance`, `noise`), or the contrary. Printed is the mean log10 of what
the lowest loss so far has above the best possible one, after 5, 10, 20 and 30 full trainings' worth of epochs.
"""

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np

import zeroin as zi
from zeroin.search import Zoom
from zeroin.search.settings import Settings

T, D, TRAININGS, FLOOR = 27, 4, 30, 0.05
AT = (5, 10, 20, 30)
Curve = Callable[[float, float], float]  # q, share of the training -> loss


def _contrary(until: float) -> Curve:
    return lambda q, part: 4 - 0.5 * min(q, 4) if part <= until else q + FLOOR


CURVES: dict[str, Curve] = {
    "plain": lambda q, part: q + FLOOR + (1 + q) * np.exp(-5 * part),
    "contrary until 0.15 T": _contrary(0.15),
    "contrary until 0.3 T": _contrary(0.3),
    "contrary until 0.7 T": _contrary(0.7),
    "noise until 0.3 T": lambda q, part: 3 + np.random.default_rng(int(q * 1e9)).random() if part <= 0.3 else q + FLOOR,
    "same of all until 0.8 T": lambda q, part: 4.0 if part <= 0.8 else q + FLOOR,
    "chance until T/2": lambda q, part: 0.7 if part <= 0.5 else q + FLOOR,
    "the better, the later it falls": lambda q, part: q + FLOOR + 3 * np.exp(-q) * max(0.0, 1 - part / 0.9),
    "the best fall at 0.75 T": lambda q, part: q + FLOOR + 2 * np.exp(-2 * q) * (part < 0.75) + np.exp(-5 * part),
}


def quadratic(seed: int) -> Callable[[np.ndarray], float]:
    """A rotated quadratic on the unit cube, its axes 1 to 8 wide, 0 at a point within."""
    rng = np.random.default_rng(1000 + seed)
    turn = np.linalg.qr(rng.normal(size=(D, D)))[0]
    centre, weights = rng.uniform(0.15, 0.85, D), np.array([1.0, 2.0, 4.0, 8.0])[rng.permutation(D)]
    return lambda x: float((weights * (turn @ (x - centre)) ** 2).sum())


def study(curve: Curve, seed: int, searcher: Zoom) -> np.ndarray:
    """The lowest loss after each full training's worth of epochs, less the best possible."""
    q, space = quadratic(seed), zi.Space(**{f"x{i}": zi.Float(0, 1) for i in range(D)})
    seen: list[float] = []

    def objective(config: zi.Config, run: zi.Run) -> None:
        end = q(np.array([float(config[name]) for name in space]))
        for epoch in run.epochs():
            seen.append(curve(end, epoch / T))
            run.report(seen[-1])
            (run.checkpoint / "epoch").touch()

    tune = partial(zi.tune, store=None, playbook=False, confirm=0, seed=seed, searcher=searcher)
    tune(objective, space, max_epochs=T, epochs=TRAININGS * T)
    return np.minimum.accumulate(seen)[T - 1 :: T][:TRAININGS] - FLOOR


def at_random(curve: Curve, seed: int) -> np.ndarray:
    """The same of full trainings at random."""
    q, rng = quadratic(seed), np.random.default_rng(seed)
    lowest = [min(curve(end, epoch / T) for epoch in range(1, T + 1)) for end in map(q, rng.random((TRAININGS, D)))]
    return np.minimum.accumulate(lowest) - FLOOR


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--only", nargs="+", default=list(CURVES), choices=list(CURVES))
    given = parser.parse_args()
    ways: dict[str, Callable[[Curve, int], np.ndarray]] = {
        "random": at_random,
        "zeroin": lambda curve, seed: study(curve, seed, Zoom()),
        "full trainings": lambda curve, seed: study(curve, seed, Zoom(Settings(rungs=0))),
    }
    print("| loss until then |", " | ".join(ways), "|")
    for name in given.only:
        cells = []
        for way in ways.values():
            logs = np.log10([np.maximum(way(CURVES[name], seed), 1e-6) for seed in range(given.seeds)])
            cells.append(" ".join(f"{logs[:, k - 1].mean():.2f}" for k in AT))
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
