"""The training recipe: what a config says about training, read once and used alone and in stacks alike."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zeroin.catalogue import OPTIMIZERS, defaults
from zeroin.catalogue.entries import SCHEDULES
from zeroin.errors import TaskError
from zeroin.nn.layers import NORMS
from zeroin.types import Config

BELOW_ONE = math.nextafter(1.0, 0.0)
LEGAL = {  # the values that make sense at all; how far a search may go is up to the catalogue
    "lr": (0.0, math.inf, "from 0"),
    "momentum": (0.0, BELOW_ONE, "from 0 and below 1"),
    "beta1": (0.0, BELOW_ONE, "from 0 and below 1"),
    "beta2": (0.0, BELOW_ONE, "from 0 and below 1"),
    "eps": (0.0, math.inf, "from 0"),
    "weight_decay": (0.0, math.inf, "from 0"),
    "lr_decay": (0.0, 1.0, "from 0 to 1"),
    "warmup": (0.0, 1.0, "from 0 to 1"),
    "label_smoothing": (0.0, 1.0, "from 0 to 1"),
    "grad_clip": (0.0, math.inf, "from 0"),
    "dropout": (0.0, 1.0, "from 0 to 1"),
}
# What a config does not say, by optimizer, as in the catalogue; one that has no use for a number gets any.
USUAL: dict[str, dict[str, Any]] = {
    o: {"momentum": 0.0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, **defaults(o)} for o in OPTIMIZERS
}
STABLE = 0.8  # share of the steps after which "wsd" begins to decay


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained: what the config says, and usual values where it says nothing.

    `warmup` is a share of all steps, `lr_decay` the final learning rate as a share of `lr`, and `grad_clip` the largest
    norm of the whole gradient (0: no limit).
    """

    optimizer: str
    lr: float
    momentum: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    batch_size: int
    schedule: str
    lr_decay: float
    warmup: float
    label_smoothing: float
    grad_clip: float

    def lr_at(self, step: int, total: int) -> float:
        """The learning rate of a step, 0 the first, of `total` in the whole training, however it is divided into jobs.

        It rises linearly while warming up. Then, by the schedule, it stays (constant); falls to `lr_decay` at the end
        (cosine, linear); falls to the square root of `lr_decay` at half and to `lr_decay` at three quarters of the
        training (step); or stays and falls over the last fifth (wsd).

        >>> [recipe({"lr": 1.0, "schedule": "linear"}).lr_at(step, 4) for step in range(4)]
        [1.0, 0.75, 0.5, 0.25]
        """
        rising = round(self.warmup * total)
        if step < rising:
            return self.lr * ((step + 1) / (rising + 1))
        way = (step - rising) / max(1, total - rising)  # 0 .. 1
        return self.lr * _share(self.schedule, way, self.lr_decay)


def recipe(config: Config) -> Recipe:
    """Read the recipe from a config.

    Raises:
        TaskError: the optimizer or schedule is unknown, or a value is not a legal number.

    >>> recipe({"lr": 0.1, "optimizer": "momentum"}).momentum
    0.9
    """
    kind = word(config, "optimizer", OPTIMIZERS, "adamw")
    usual = USUAL[kind]
    return Recipe(
        optimizer=kind,
        lr=number(config, "lr", usual["lr"]),
        momentum=number(config, "momentum", usual["momentum"]),
        beta1=number(config, "beta1", usual["beta1"]),
        beta2=number(config, "beta2", usual["beta2"]),
        eps=number(config, "eps", usual["eps"]),
        weight_decay=number(config, "weight_decay", 0.0),
        batch_size=max(1, round(number(config, "batch_size", 32))),
        schedule=word(config, "schedule", SCHEDULES, "constant"),
        lr_decay=number(config, "lr_decay", 0.01 if config.get("schedule") == "step" else 0.0),
        warmup=number(config, "warmup", 0.0),
        label_smoothing=number(config, "label_smoothing", 0.0),
        grad_clip=number(config, "grad_clip", 0.0),
    )


def _share(schedule: str, way: float, decay: float) -> float:
    """The learning rate after so much of the training as a share of the highest."""
    if schedule == "cosine":
        return decay + (1 - decay) * (1 + math.cos(math.pi * min(way, 1.0))) / 2
    if schedule == "linear":
        return 1 - (1 - decay) * min(way, 1.0)
    if schedule == "step":
        return float(1.0 if way < 0.5 else decay**0.5 if way < 0.75 else decay)
    if schedule == "wsd":
        return 1 - (1 - decay) * min(max(0.0, (way - STABLE) / (1 - STABLE)), 1.0)
    return 1.0


def decayed(model: nn.Module) -> set[str]:
    """The names of the parameters that weight decay applies to: matrices and kernels, but not γ, β and biases."""
    spared = {
        f"{path}.{name}".lstrip(".")
        for path, module in model.named_modules()
        if isinstance(module, NORMS)
        for name, _ in module.named_parameters(recurse=False)
    }
    return {name for name, p in model.named_parameters() if p.dim() >= 2 and name not in spared}


def rule(how: Recipe) -> str:
    """The update rule of a recipe; the networks of a stack have the same one."""
    return "sgd" if how.optimizer == "momentum" else how.optimizer


def clip(parameters: Iterable[Tensor], largest: float) -> None:
    """Clip the norm of the whole gradient to at most `largest`; 0: no limit."""
    if largest > 0:
        nn.utils.clip_grad_norm_(parameters, largest)


def number(config: Config, name: str, usual: float) -> float:
    """A number from a config, or the `usual` one if the config does not have it.

    Raises:
        TaskError: it is not a number, or not a legal one for this hyperparameter.
    """
    value = config.get(name)
    if value is None:
        return usual
    if isinstance(value, str) or not math.isfinite(value):
        raise TaskError(f"{name} is a number; the config has {name}={value!r}: use {name}={usual:g}.")
    low, high, words = LEGAL.get(name, (-math.inf, math.inf, ""))
    if not low <= value <= high:
        raise TaskError(f"{name} is a number {words}; the config has {name}={value!r}: use {name}={usual:g}.")
    return float(value)


def word(config: Config, name: str, words: tuple[str, ...], usual: str) -> str:
    """One of some words from a config, or the `usual` one if the config does not have it.

    Raises:
        TaskError: it is none of them.
    """
    value = config.get(name)
    if value is None:
        return usual
    if value not in words:
        raise TaskError(f"{name} is one of {', '.join(words)}; the config has {name}={value!r}: use {usual!r}.")
    return str(value)
