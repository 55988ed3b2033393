"""Networks from a config: ready-made families, and what a config says about any network that a user builds."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import torch
from torch import nn

from zeroin.errors import TaskError
from zeroin.nn.optim import number
from zeroin.rng import seed_of
from zeroin.types import Config, Value

Build: TypeAlias = Callable[[Config], nn.Module]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
}
INITS = ("default", "kaiming", "xavier", "orthogonal")
DROPOUTS = nn.modules.dropout._DropoutNd
BATCHNORMS = nn.modules.batchnorm._BatchNorm
WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)


def mlp(inputs: int, outputs: int, config: Config) -> nn.Sequential:
    """A network of [Linear, BatchNorm, activation, Dropout] blocks and a last Linear.

    Args:
        inputs: numbers in an example; images and sequences are flattened.
        outputs: classes, or numbers to predict.
        config: layers (2), units or units_1, units_2, ... (64), activation ("relu"), batchnorm (False),
            bn_momentum (0.1), bn_eps (1e-5), dropout (none). A Linear in front of a norm has no bias.

    Returns:
        A network [B, ...] -> [B, outputs].

    >>> mlp(64, 10, {"layers": 1, "units": 32})(torch.zeros(5, 8, 8)).shape
    torch.Size([5, 10])
    """
    blocks: list[nn.Module] = [nn.Flatten()]  # [B, inputs]
    width = inputs
    for i in range(round(number(config, "layers", 2))):
        units = round(number(config, f"units_{i + 1}", number(config, "units", 64)))
        norm = bool(config.get("batchnorm", False))
        blocks.append(nn.Linear(width, units, bias=not norm))  # [B, units]
        if norm:
            blocks.append(nn.BatchNorm1d(units, *_norm(config)))
        blocks += _end(config)
        width = units
    return nn.Sequential(*blocks, nn.Linear(width, outputs))


def small_cnn(channels: int, size: int, outputs: int, config: Config) -> nn.Sequential:
    """A network of [Conv 3x3, BatchNorm, activation, MaxPool] blocks, the width doubling, and a last Linear.

    Args:
        channels, size: of the images, [B, channels, size, size].
        outputs: classes.
        config: layers (2), units (16: kernels of the first block), else as for `mlp`; dropout before the last Linear.

    Returns:
        A network [B, channels, size, size] -> [B, outputs].

    >>> small_cnn(1, 8, 10, {"batchnorm": True})(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    blocks: list[nn.Module] = []
    norm = bool(config.get("batchnorm", False))
    width = round(number(config, "units", 16))
    for _ in range(round(number(config, "layers", 2))):
        blocks.append(nn.Conv2d(channels, width, 3, padding=1, bias=not norm))  # [B, width, size, size]
        if norm:
            blocks.append(nn.BatchNorm2d(width, *_norm(config)))
        blocks.append(_activation(config))
        if size > 1:
            blocks.append(nn.MaxPool2d(2))  # [B, width, size/2, size/2]
            size //= 2
        channels, width = width, 2 * width
    return nn.Sequential(*blocks, nn.Flatten(), *_dropout(config), nn.Linear(channels * size * size, outputs))


def network(build: Build, config: Config, seed: int = 0) -> nn.Module:
    """The network that `build` makes of a config, its first weights a function of the seed alone.

    Of dropout, bn_momentum, bn_eps and init, those that `build` does not itself ask the config for are applied to
    all layers concerned.

    Raises:
        TaskError: `build` returns something else than a network.
    """
    asked = _Asked(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "init"))
        model = build(asked)
        if not isinstance(model, nn.Module):
            raise TaskError(
                f"build(config) returns a torch.nn.Module; it returned a {type(model).__name__}: "
                f"end it with `return nn.Sequential(...)`."
            )
        rest = {name: value for name, value in config.items() if name not in asked.names and value is not None}
        _apply(model, rest)
    return model


class _Asked(Mapping[str, Value]):
    """A config that remembers which names it was asked for."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        self.names.add(name)
        return self._config[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._config)

    def __len__(self) -> int:
        return len(self._config)

    def __repr__(self) -> str:
        return repr(dict(self._config))


def _apply(model: nn.Module, rest: Config) -> None:
    for module in model.modules():
        if isinstance(module, DROPOUTS) and "dropout" in rest:
            module.p = number(rest, "dropout", module.p)
        if isinstance(module, BATCHNORMS):
            module.eps = number(rest, "bn_eps", module.eps)
            if "bn_momentum" in rest:
                module.momentum = number(rest, "bn_momentum", 0.1)
        if isinstance(module, WEIGHTED) and "init" in rest:
            _initialise(module, str(rest["init"]))


def _initialise(module: nn.Module, how: str) -> None:
    if how not in INITS:
        raise TaskError(f"init is one of {', '.join(INITS)}; the config has init={how!r}: use 'default'.")
    weight, bias = module.weight, module.bias
    assert isinstance(weight, nn.Parameter)
    if how == "default":
        return
    if how == "kaiming":
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    elif how == "xavier":
        nn.init.xavier_uniform_(weight)
    else:
        nn.init.orthogonal_(weight, gain=math.sqrt(2))
    if isinstance(bias, nn.Parameter):
        nn.init.zeros_(bias)


def _norm(config: Config) -> tuple[float, float]:
    return number(config, "bn_eps", 1e-5), number(config, "bn_momentum", 0.1)


def _end(config: Config) -> list[nn.Module]:
    return [_activation(config), *_dropout(config)]


def _dropout(config: Config) -> list[nn.Module]:
    # Also at rate 0, so that networks which differ only in the rate can be trained as one stack.
    return [] if config.get("dropout") is None else [nn.Dropout(number(config, "dropout", 0.0))]


def _activation(config: Config) -> nn.Module:
    name = config.get("activation") or "relu"
    if name not in ACTIVATIONS:
        raise TaskError(f"activation is one of {', '.join(ACTIVATIONS)}; the config has {name!r}: use 'relu'.")
    return ACTIVATIONS[str(name)]()
