"""Networks from a config: ready-made ones, and the hyperparameters that apply to any network a user builds."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import TypeAlias

from torch import nn

from zeroin.catalogue.entries import INITS
from zeroin.errors import TaskError
from zeroin.nn.layers import BATCHNORMS, DROPOUTS, LAYERS
from zeroin.nn.norms.normlayers import KINDS, Settings, make
from zeroin.nn.randomness import seeded
from zeroin.nn.recipe import Recipe, number, word
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
APPLIED = ("dropout", "bn_momentum", "bn_eps", "init")  # to all layers concerned, unless build asks for them
KNOWN = (*(field.name for field in fields(Recipe)), *APPLIED)  # to the training loop


def mlp(inputs: int, outputs: int, config: Config) -> nn.Sequential:
    """A multilayer perceptron: blocks of Linear, norm, activation and Dropout, and a final Linear.

    Args:
        inputs: how many numbers an example has; images and sequences are flattened.
        outputs: how many classes, or numbers to predict.
        config: with defaults in brackets: layers (2), units or units_1, units_2, ... (64), activation ("relu"), norm
            ("none"; "batch", "group" or "layer"; batchnorm=True means "batch"), norm_position ("before" the activation;
            or "after"), bn_momentum (0.1), bn_eps (1e-5), dropout (none). A Linear before a batch norm has no bias.
            With batch norm there is only one dropout layer, before the final Linear: in front of a batch norm, dropout
            would change the variance between training and evaluation (Li et al. 2018, arXiv 1801.05134, section 3).

    Returns:
        A network [B, ...] -> [B, outputs].

    Raises:
        TaskError: the activation, norm or norm_position is unknown.

    Source: Goodfellow et al. 2016, "Deep Learning", chapter 6.

    >>> import torch
    >>> mlp(64, 10, {"layers": 1, "units": 32})(torch.zeros(5, 8, 8)).shape
    torch.Size([5, 10])
    """
    blocks: list[nn.Module] = [nn.Flatten()]  # [B, inputs]
    width, layers = inputs, round(number(config, "layers", 2))
    for i in range(layers):
        units = round(number(config, f"units_{i + 1}", number(config, "units", 64)))
        blocks.append(nn.Linear(width, units, bias=not redundant_bias(config)))  # [B, units]
        blocks += activated(config, units, 2)
        if i == layers - 1 or norm_of(config) != "batch":
            blocks += dropout_of(config)
        width = units
    return nn.Sequential(*blocks, nn.Linear(width, outputs))


def small_cnn(channels: int, size: int, outputs: int, config: Config) -> nn.Sequential:
    """A small convolutional network: blocks of Conv 3x3, norm, activation and MaxPool, and a final Linear.

    Each block has twice as many channels as the one before.

    Args:
        channels, size: of the images, [B, channels, size, size].
        outputs: how many classes, or numbers to predict.
        config: layers (2), units (16: channels of the first block), and the rest as for `mlp`; dropout comes before the
            final Linear.

    Returns:
        A network [B, channels, size, size] -> [B, outputs].

    Raises:
        TaskError: the activation, norm or norm_position is unknown.

    Source: LeCun et al. 1998, Proceedings of the IEEE 86(11), section II.

    >>> import torch
    >>> small_cnn(1, 8, 10, {"batchnorm": True})(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """
    blocks: list[nn.Module] = []
    width = round(number(config, "units", 16))
    for _ in range(round(number(config, "layers", 2))):
        bias = not redundant_bias(config)
        blocks.append(nn.Conv2d(channels, width, 3, padding=1, bias=bias))  # [B, width, size, size]
        blocks += activated(config, width, 4)
        if size > 1:
            # In front of a ReLU the same numbers and gradients come out, and the ReLU has a quarter of the work.
            blocks.insert(len(blocks) - isinstance(blocks[-1], nn.ReLU), nn.MaxPool2d(2))  # [B, width, size/2, size/2]
            size //= 2
        channels, width = width, 2 * width
    return nn.Sequential(*blocks, nn.Flatten(), *dropout_of(config), nn.Linear(channels * size * size, outputs))


def network(build: Build, config: Config, seed: int = 0) -> nn.Module:
    """The network that `build` makes from a config, its initial weights a function of the seed alone.

    The hyperparameters dropout, bn_momentum, bn_eps and init are applied to all layers that have them, unless `build`
    asks the config for them itself.

    Raises:
        TaskError: `build` does not return a network.
    """
    return built(build, config, seed)[0]


def built(build: Build, config: Config, seed: int = 0) -> tuple[nn.Module, set[str]]:
    """The network that `network` returns, and the names that `build` asked the config for.

    Raises:
        TaskError: `build` does not return a network.
    """
    asked = Asked(config)
    with seeded(seed_of(seed, "init")):
        model = build(asked)
        if not isinstance(model, nn.Module):
            raise TaskError(
                f"build(config) returns a torch.nn.Module; it returned a {type(model).__name__}: "
                f"end it with `return nn.Sequential(...)`."
            )
        rest = {name: value for name, value in config.items() if name not in asked.names and value is not None}
        _apply(model, rest)
    return model, asked.names


class Asked(Mapping[str, Value]):
    """A config that records which names it is asked for."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        self.names.add(name)
        value: Value = self.config[name]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.config)

    def __len__(self) -> int:
        return len(self.config)

    def __or__(self, other: Config) -> dict[str, Value]:  # what a dict has beyond a Mapping, for the defaults of build
        return dict(self) | dict(other)

    def __ror__(self, other: Config) -> dict[str, Value]:
        return dict(other) | dict(self)

    def copy(self) -> dict[str, Value]:
        """The config as a dict, of which every name counts as asked for."""
        return dict(self)

    def __repr__(self) -> str:
        return repr(dict(self.config))


def _apply(model: nn.Module, rest: Config) -> None:
    for module in model.modules():
        if isinstance(module, DROPOUTS) and "dropout" in rest:
            module.p = number(rest, "dropout", module.p)
        if isinstance(module, BATCHNORMS):
            module.eps = number(rest, "bn_eps", module.eps)
            if "bn_momentum" in rest:
                module.momentum = number(rest, "bn_momentum", 0.1)
        # What is frozen was learned before.
        if isinstance(module, LAYERS) and "init" in rest and module.weight.requires_grad:
            _initialise(module, str(rest["init"]))


def _initialise(module: nn.Module, how: str) -> None:
    if how not in INITS:
        raise TaskError(f"init is one of {', '.join(INITS)}; the config has init={how!r}: use 'default'.")
    weight, bias = module.weight, module.bias
    if how == "default":
        return
    if not isinstance(weight, nn.Parameter):
        raise TaskError(
            f"init sets weights that are trained; those of a {type(module).__name__} are computed from others, as by "
            f"weight_norm: ask for config['init'] in build, and set them before."
        )
    if how == "kaiming":
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    elif how == "xavier":
        nn.init.xavier_uniform_(weight)
    else:
        nn.init.orthogonal_(weight, gain=math.sqrt(2))
    if isinstance(bias, nn.Parameter):
        nn.init.zeros_(bias)


def norm_of(config: Config) -> str:
    """The kind of normalisation that a config asks for: "none", "batch", "group" or "layer".

    Raises:
        TaskError: it is unknown.

    >>> norm_of({"batchnorm": True}), norm_of({"norm": "group"}), norm_of({})
    ('batch', 'group', 'none')
    """
    kind = config.get("norm")
    if kind is None:
        return "batch" if config.get("batchnorm", False) else "none"
    return word(config, "norm", ("none", *KINDS), "none")


def redundant_bias(config: Config) -> bool:
    """Whether a layer needs no bias, because a batch norm after it subtracts the mean."""
    return norm_of(config) == "batch" and _position(config) == "before"


def _position(config: Config) -> str:
    return word(config, "norm_position", ("before", "after"), "before")


def activated(config: Config, channels: int, axes: int) -> list[nn.Module]:
    """The activation and the norm for [N, channels, ...], in the order that the config says."""
    activation = ACTIVATIONS[word(config, "activation", tuple(ACTIVATIONS), "relu")]()
    both = [*norm_layers(config, channels, axes), activation]
    return both if _position(config) == "before" else both[::-1]


def norm_layers(config: Config, channels: int, axes: int) -> list[nn.Module]:
    """A list with the norm for [N, channels, ...] that a config asks for; empty if it asks for none."""
    kind = norm_of(config)
    if kind == "none":
        return []
    how = Settings(kind, number(config, "bn_momentum", 0.1), number(config, "bn_eps", 1e-5))
    return [make(how, channels, axes, last=axes == 2)]


def dropout_of(config: Config) -> list[nn.Module]:
    """A list with a Dropout of the config's rate; empty if the config has none."""
    # A rate of 0 gives a layer as well, so that networks that differ only in the rate can be stacked.
    return [] if config.get("dropout") is None else [nn.Dropout(number(config, "dropout", 0.0))]
