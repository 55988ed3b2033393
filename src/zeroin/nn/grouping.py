"""Which networks can be trained as one stack: those that differ in numbers alone."""

import hashlib
import types
from typing import Any

from torch import nn

from zeroin.nn.dropout import CountedDropout, counted
from zeroin.nn.networks import BATCHNORMS, network
from zeroin.nn.optim import Recipe, recipe, rule
from zeroin.nn.problem import Problem
from zeroin.space import Space
from zeroin.types import Config

OF_TORCH = frozenset(vars(nn.Module())) | {"_is_full_backward_hook"}
PLAIN = (bool, int, float, str, bytes, type(None))
PER_ROW = {CountedDropout: {"idle", "uses"}}


def signature(model: nn.Module, how: Recipe, config: Config) -> str:
    """Equal for networks (with counted dropout) that differ only in weights and in hyperparameters of a stack's rows.

    What changes it: classes of layers, their attributes but for the dropout rate and the momentum of batch norm,
    shapes and types of parameters and buffers, the optimizer, the batch size, a space with label smoothing or without.
    """
    parts: list[Any] = [rule(how), how.batch_size, config.get("label_smoothing") is not None]
    for path, module in model.named_modules():
        skipped = OF_TORCH | PER_ROW.get(type(module), set()) | ({"momentum"} if _has_momentum(module) else set())
        attributes = {k: _known(v) for k, v in sorted(vars(module).items()) if k not in skipped}
        parts.append((path, type(module).__module__, type(module).__qualname__, module.training, attributes))
    parts += [(n, tuple(p.shape), str(p.dtype), p.requires_grad) for n, p in model.named_parameters()]
    parts += [(n, tuple(b.shape), str(b.dtype)) for n, b in model.named_buffers()]
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def shaping(problem: Problem, space: Space) -> tuple[str, ...]:
    """Hyperparameters of a space that change the signature of its default config, each alone."""

    def of(config: Config) -> str:
        return signature(counted(network(problem.build, config)), recipe(config), config)

    default = space.default
    usual = of(default)
    found = []
    for name, param in space.params.items():
        others = [v for v in param.range if v != default.get(name)] if name in default and param.fixed is None else []
        if any(of(space.check(default | {name: value})) != usual for value in others[:2]):
            found.append(name)
    return tuple(found)


def _has_momentum(module: nn.Module) -> bool:
    return isinstance(module, BATCHNORMS) and module.momentum is not None


def _known(value: Any) -> Any:
    """An attribute as something that is the same in another process; what is not known so is like nothing else."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, tuple | list):
        return [_known(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _known(v) for k, v in value.items()}
    if isinstance(value, types.FunctionType) and not value.__closure__:
        code = value.__code__
        return value.__module__, value.__qualname__, code.co_code.hex(), repr(code.co_consts), value.__defaults__
    return repr(value)  # with its address, where its class says no more
