"""The outlook: how much a loss at a rung will still fall until the full budget, learned from other tasks.

Short trainings mislead in a known way: with large steps (a high learning rate or momentum, small batches) and in deep
networks, losses fall late. How much they still fall was learned from learning curves of other tasks
(benchmarks/make_outlook.py), as a quadratic function of the hyperparameters, the loss and its last fall. It applies to
spaces whose hyperparameters have known names, and a study follows it only as far as its own trials confirm it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from zeroin.catalogue import called
from zeroin.space import Choice, Float, Space
from zeroin.space.scales import Array
from zeroin.types import Config

NAMES = ("lr", "momentum", "weight_decay", "batch_size", "layers", "units", "dropout")  # of what was learned from
NEEDED = ("lr", "momentum")  # it was learned with SGD with momentum, and says nothing about other optimizers
OPTIMIZERS = {"sgd", "momentum", "nesterov"}
WORTH = 0.1  # squared falls, in spreads of the losses, at which a study's own count as much as what was learned
MOST = 1.5  # times what was learned that a study may make of it


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What was learned: over which ranges (`learned`), and the `weights` [3, F] of the terms at T/8, T/4 and T/2."""

    learned: Mapping[str, Float]
    weights: Array

    def traits(self, config: Config, names: Mapping[str, str]) -> Array:
        """Where a config lies in the ranges that were learned from, -1 to 1 for each [K]; 0 where that is not known."""
        place = np.zeros(len(self.learned))
        for i, (name, param) in enumerate(self.learned.items()):
            value = config.get(names.get(name, ""))
            if value is not None:
                place[i] = 2.0 * param.unit(max(float(value), 1e-300)) - 1.0
        return np.clip(place, -1.0, 1.0)

    def leaning(self, config: Config, names: Mapping[str, str]) -> Array:
        """How much losses of a config still fall by its hyperparameters alone [3], at T/8, T/4 and T/2."""
        alone = terms(np.zeros(1), np.zeros(1), self.traits(config, names)[None])[0]
        return np.asarray(self.weights[:, 3:] @ alone[3:])

    def falls(self, level: Array, slope: Array, leaning: Array, doublings: Array) -> Array:
        """How much losses still fall [n], in standard deviations of the losses.

        Args:
            level: [n], the loss less the median of early trials, in standard deviations.
            slope: [n], its last fall, in standard deviations per unit of log epochs.
            leaning: [n, 3], of their configs.
            doublings: [n], how many times the epochs must double to reach the full budget.
        """
        rung = 3 - np.clip(np.rint(doublings), 1, 3).astype(int)
        constant, by_slope, by_level = self.weights[rung, :3].T
        return np.asarray(constant + by_slope * slope + by_level * level + leaning[np.arange(len(rung)), rung])


def terms(level: Array, slope: Array, traits: Array) -> Array:
    """The terms [n, F] in which the fall is linear: 1, slope, level, traits, and products of traits."""
    products = [traits[:, j:] * traits[:, [j]] for j in range(traits.shape[1])]
    return np.column_stack([np.ones(len(level)), slope, level, traits, *products])


@lru_cache(maxsize=1)
def shipped() -> Outlook:
    """The outlook that is shipped with zeroin."""
    data = json.loads(resources.files("zeroin.search").joinpath("outlook.json").read_text("utf-8"))
    learned = {name: Float(low, high, scale=scale) for name, (low, high, scale) in data["learned"].items()}
    return Outlook(learned, np.array(data["weights"]))


def known(space: Space) -> dict[str, str]:
    """The names that a space has for the hyperparameters that were learned from; empty if the outlook does not apply.

    >>> known(Space(learning_rate=Float(1e-4, 1.0, scale="log"), momentum=Float(0.5, 0.99), x=Float(0.0, 1.0)))
    {'lr': 'learning_rate', 'momentum': 'momentum'}
    >>> known(Space(lr=Float(1e-4, 1.0, scale="log"), beta1=Float(0.5, 0.99)))
    {}
    """
    optimizer = space.params.get(called(space).get("optimizer", ""))
    if isinstance(optimizer, Choice) and not OPTIMIZERS.issuperset(str(option).lower() for option in optimizer.range):
        return {}
    always = [name for name, param in space.params.items() if not isinstance(param, Choice) and param.when is None]
    found = {name: own for name, own in called(always).items() if name in NAMES}
    return found if all(name in found for name in NEEDED) else {}


def since(epoch: int) -> int:
    """The epoch from which the last fall up to `epoch` is measured: it covers a third of what was trained."""
    return max(1, epoch - max(1, round(epoch / 3)))


def followed(seen: Array, expected: Array, rungs: Sequence[int]) -> float:
    """How far a study's own trials confirm the outlook: 0 not at all, 1 exactly, up to `MOST`.

    It is the slope of a regression of actual on expected falls, over trials that went from one rung to the same other.

    Args:
        seen: losses [trials, R] in standard deviations, nan where there is none.
        expected: how much each is expected to fall until the last rung [trials, R].
        rungs: epochs, the lowest first.
    """
    product = square = 0.0
    for low in range(len(rungs) - 1):
        for high in {low + 1, len(rungs) - 1}:
            fell = seen[:, low] - seen[:, high]
            both = ~np.isnan(fell)
            if both.sum() < 2:
                continue
            share = np.log(rungs[high] / rungs[low]) / np.log(rungs[-1] / rungs[low])
            x = share * (expected[both, low] - expected[both, low].mean())
            product += x @ (fell[both] - fell[both].mean())
            square += x @ x
    return float(np.clip((product + WORTH) / (square + WORTH), 0.0, MOST))
