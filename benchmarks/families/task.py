"""A task, where its data are, what its regret is measured by, and curves with noise and without."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from families.space import Array, Config, Dim, config_at

Curve: TypeAlias = Callable[[Config, int], Array]  # (config, seed) -> losses, one per epoch; nan or inf = diverged


class Absent(Exception):
    """The data of a family are not on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Task:
    """A space and the learning curves of its configs.

    `open()` gives the curve for one study: a table that hands out each of its rows once keeps count of them in there.
    `truth`, where observations are noisy, gives the curve without noise, by which a search is judged.
    """

    family: str
    name: str
    dims: tuple[Dim, ...]
    max_epochs: int
    open: Callable[[], Curve]
    best: float
    median_random: float
    truth: Callable[[Config], Array] | None = None

    def regret(self, loss: float) -> float:
        return (loss - self.best) / (self.median_random - self.best)

    @property
    def curve(self) -> Curve:
        return self.open()


def reference(name: str, cache: Path, compute: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """(best known, median random) of a task: computed once, then read from a small file in `cache`."""
    path = cache / f"{name}.json"
    if path.exists():
        best, median = json.loads(path.read_text())
        return float(best), float(median)
    best, median = compute()
    cache.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{np.random.default_rng().integers(1 << 40)}")
    scratch.write_text(json.dumps([best, median]))
    scratch.replace(path)
    return best, median


def median_loss(losses: Array) -> float:
    """Median, where a diverged run counts as worst of all."""
    return float(np.median(np.where(np.isfinite(losses), losses, np.inf)))


def known_best(truth: Callable[[Config], Array], dims: tuple[Dim, ...], best: float) -> tuple[float, float]:
    """`reference` of a task whose best loss is known."""
    rng = np.random.default_rng(0)
    return best, median_loss(np.array([truth(config_at(dims, u))[-1] for u in rng.random((2000, len(dims)))]))


def need(path: Path) -> Path:
    """`path`, or `Absent`."""
    if not path.exists():
        raise Absent(
            f"{path.name} is not in {path.parent}: name its folder with --data or ZEROIN_BENCHMARK_DATA; "
            f"benchmarks/README.md says where it comes from"
        )
    return path


def constant(curve: Curve) -> Callable[[], Curve]:
    """An `open` for curves that keep no count."""
    return lambda: curve


def noiseless(truth: Callable[[Config], Array]) -> Curve:
    return lambda config, _seed: truth(config)


def noisy(truth: Callable[[Config], Array], sd: float) -> Curve:
    """Adds normal noise, drawn anew for each epoch, the same for the same seed."""

    def curve(config: Config, seed: int) -> Array:
        losses = truth(config)
        return losses + sd * np.random.default_rng([seed, 5]).standard_normal(len(losses))

    return curve
