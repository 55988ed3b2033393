"""Which networks can be trained as one stack: those that differ in numbers alone."""

import hashlib
from typing import Any

from torch import nn

from zeroin.nn.dropout import CountedDropout, counted
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.networks import network
from zeroin.nn.problem import Problem
from zeroin.nn.recipe import Recipe, recipe, rule
from zeroin.nn.recording.content import attributes, content, parts
from zeroin.space import Space
from zeroin.types import Config

TOLD = ("label_smoothing", "grad_clip", "weight_decay")  # a step without them is another one
PER_ROW = {CountedDropout: {"idle", "uses", "_p"}}


def signature(model: nn.Module, how: Recipe, config: Config) -> str:
    """Equal for networks (with counted dropout) that differ only in weights and in hyperparameters of a stack's rows.

    What changes it: classes of layers, their attributes but for the dropout rate and the momentum of batch norm, hooks,
    shapes and types of parameters and buffers, which of all these are one and the same under several names, the
    optimizer, the batch size, and whether the config tells of label smoothing, clipping and weight decay at all.
    """
    told: list[Any] = [rule(how), how.batch_size, *(config.get(name) is not None for name in TOLD)]
    seen = parts(model)
    for path, module in model.named_modules():
        kept = sorted(module._non_persistent_buffers_set)
        per_row = PER_ROW.get(type(module), set()) | ({"momentum"} if _has_momentum(module) else set())
        own = {name: value for name, value in attributes(module).items() if name not in per_row}
        told.append((path, module.training, content([type(module), own], seen), kept))
    told += [(n, seen[id(m)][0]) for n, m in model.named_modules(remove_duplicate=False)]
    for n, t in (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)):
        told.append((n, seen[id(t)][0], tuple(t.shape), str(t.dtype), t.requires_grad))
    return hashlib.blake2b(repr(told).encode(), digest_size=12).hexdigest()


def shaping(problem: Problem, space: Space) -> tuple[str, ...]:
    """Hyperparameters of a space that change the signature of its default config, each alone."""

    def of(config: Config) -> str:
        return signature(counted(network(problem.build, config)), recipe(config), config)

    default = space.default
    usual = of(default)
    found = []
    for name, param in space.params.items():
        others = [v for v in param.range if v != default.get(name)] if name in default and not param.held else []
        if any(of(space.check(default | {name: value})) != usual for value in others[:2]):
            found.append(name)
    return tuple(found)


def _has_momentum(module: nn.Module) -> bool:
    return isinstance(module, BATCHNORMS) and module.momentum is not None
