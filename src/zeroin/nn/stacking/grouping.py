"""Which networks can be trained as one stack: those that differ only in numbers have the same signature."""

import hashlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from zeroin.nn.dropout import CountedDropout, counted
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.networks import network
from zeroin.nn.problem import Problem
from zeroin.nn.recipe import Recipe, recipe, rule
from zeroin.nn.recording.content import attributes, content, parts
from zeroin.nn.recording.surroundings import surroundings
from zeroin.nn.stacking.aliasing import overlapping
from zeroin.space import Space
from zeroin.types import Config

TOLD = ("label_smoothing", "grad_clip", "weight_decay")  # a step is different if the config does not mention them
PER_ROW = {CountedDropout: {"idle", "uses", "_p"}}


def signature(model: nn.Module, how: Recipe, config: Config) -> str:
    """A hash that is equal for networks (with counted dropout) that can be rows of the same stack.

    It depends on the classes of the layers and their attributes, except for dropout rates and the momentum of batch
    norms; on hooks; on shapes and types of parameters and buffers; on which of all these have several names or share
    memory; on the optimizer and the batch size; and on whether the config mentions label smoothing, clipping and
    weight decay.
    """
    told: list[Any] = [rule(how), how.batch_size, *(config.get(name) is not None for name in TOLD)]
    seen = parts(model)
    for path, module in model.named_modules():
        kept = sorted(module._non_persistent_buffers_set)
        per_row = PER_ROW.get(type(module), set())
        if isinstance(module, BATCHNORMS) and module.momentum is not None:
            per_row = {"momentum"}
        own = {name: value for name, value in attributes(module).items() if name not in per_row}
        told.append((path, module.training, content([type(module), own], seen), kept))
    told += [(n, seen[id(m)][0]) for n, m in model.named_modules(remove_duplicate=False)]
    told += overlapping(model)
    for n, t in (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)):
        told.append((n, seen[id(t)][0], tuple(t.shape), str(t.dtype), t.requires_grad))
    return hashlib.blake2b(repr(told).encode(), digest_size=12).hexdigest()


def shaping(problem: Problem, space: Space) -> tuple[str, ...]:
    """The hyperparameters of a space that determine the signature: those that alone change that of the default."""

    def of(config: Config) -> str:
        return signature(counted(network(problem.build, config)), recipe(config), config)

    usual = of(space.default)
    found: dict[str, None] = {}
    for name, config in _neighbours(space):
        if name not in found and of(config) != usual:
            found[name] = None
    return tuple(found)


def steered(problem: Problem, space: Space) -> str:
    """What `build` sets by the config outside of the network that it makes, and networks read; empty: nothing.

    Such as a variable of its file, or an attribute of a class: all networks of a stack would read the last one's.
    """
    model = network(problem.build, space.default)
    before = surroundings(model, problem.loss)
    for _, config in _neighbours(space):
        network(problem.build, config)
        after = surroundings(model, problem.loss)
        if found := next((name for name, value in before.items() if after.get(name) != value), ""):
            return found
    return ""


def _neighbours(space: Space) -> Iterator[tuple[str, Config]]:
    """Configs that differ from the default in one hyperparameter each, at most two of each, with its name."""
    default = space.default
    for name, param in space.params.items():
        others = [v for v in param.range if v != default.get(name)] if name in default and not param.held else []
        for value in others[:2]:
            yield name, space.check(default | {name: value})
