"""Dropout whose masks are a function of (trial's seed, step, layer, place in the layer) and of nothing else.

So a network draws the same masks alone, in any stack of networks and at any place in it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zeroin.nn.layers import DROPOUTS
from zeroin.rng import seed_of

LEVELS = 1 << 16  # a mask is decided by 16 bits, so a rate is met to 1 / 65,536


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


# Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators": SplitMix64, its increment and its mixer.
GOLDEN, FIRST, SECOND = (_signed(w) for w in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
OWN = ("p", "_buffers", "_non_persistent_buffers_set")  # what a counted layer has in place of PyTorch's
KINDS = {nn.Dropout: 0, nn.Dropout1d: 2, nn.Dropout2d: 2, nn.Dropout3d: 2}  # axes of x that a mask has, 0: all


class CountedDropout(nn.Module):
    """Stands in for nn.Dropout, Dropout1d, 2d and 3d; it adds nothing to a state_dict.

    Args:
        p: the rate, met to 1 / 65,536.
        axes: leading axes [B, C] that are dropped as one; 0: each number by itself.
        inplace: whether the input itself is changed.
    """

    threshold: Tensor  # int16; a number whose 16 bits lie below is dropped
    scale: Tensor  # what the others are multiplied with
    key: Tensor  # int64, of the step

    def __init__(self, p: float, axes: int = 0, inplace: bool = False) -> None:
        super().__init__()
        self.axes = axes
        self.inplace = inplace
        self.uses = 0  # in this step; a layer that a network goes through twice draws twice
        self.register_buffer("threshold", torch.zeros((), dtype=torch.int16), False)
        self.register_buffer("scale", torch.zeros(()), False)
        self.register_buffer("key", torch.zeros((), dtype=torch.int64), False)
        self.is_shared = False  # by rows of a stack, each with a rate of its own
        self.p = p

    @property
    def p(self) -> float:
        """The rate, which a network may read and set as that of PyTorch's layer.

        Raises:
            RuntimeError: rows of a stack have each their own.
        """
        if self.is_shared:
            raise RuntimeError("it reads or sets the rate of a dropout layer")
        return self._p

    @p.setter
    def p(self, p: float) -> None:
        if self.is_shared:
            raise RuntimeError("it reads or sets the rate of a dropout layer")
        self._p = p
        self.idle = p == 0.0  # nothing is dropped, and nothing need be drawn
        dropped = min(round(p * LEVELS), LEVELS)
        # At rate 1 the scale is 0: 16 bits cannot say "below all".
        self.threshold.fill_(min(dropped, LEVELS - 1) - LEVELS // 2)
        self.scale.fill_(LEVELS / (LEVELS - dropped) if dropped < LEVELS else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs [B, ...] with some at 0, the rest scaled up."""
        if self.idle or not self.training:
            return x
        shape = torch.Size((*x.shape[: self.axes], *(1,) * (x.dim() - self.axes))) if self.axes else x.shape
        count = shape.numel()
        key = self.key + _signed(self.uses * 0xD6E8FEB86659FD93 % (1 << 64))
        self.uses += 1
        words = torch.arange(-(-count // 4), device=x.device) * GOLDEN + key  # 64 bits make four decisions
        kept = mix(words).view(torch.int16)[:count].view(shape) >= self.threshold
        share = kept * (self.scale.to(x.dtype) if x.is_floating_point() else self.scale)
        return x.mul_(share) if self.inplace else x * share


def mix(words: Tensor) -> Tensor:
    """SplitMix64's mixer on int64 (whose products wrap round): each bit out depends on each bit in.

    >>> mix(torch.tensor([1])).item() == _signed(0x5692161D100B05E5)
    True
    """
    words = words ^ ((words >> 30) & 0x3FFFFFFFF)
    words *= FIRST
    words ^= (words >> 27) & 0x1FFFFFFFFF
    words *= SECOND
    words ^= (words >> 31) & 0x1FFFFFFFF
    return words


def begin_step(layers: Sequence[CountedDropout], keys: Tensor) -> None:
    """Give the layers their keys [layers] of a step."""
    for layer, key in zip(layers, keys, strict=True):
        layer.key.copy_(key)
        layer.uses = 0


def counted(model: nn.Module) -> nn.Module:
    """The same network with its dropout layers replaced, in place: under all their names, with their hooks."""
    made: dict[nn.Module, CountedDropout] = {}
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if isinstance(child, DROPOUTS) and type(child) in KINDS:
                if child not in made:
                    made[child] = CountedDropout(child.p, KINDS[type(child)], child.inplace).to(_device(model))
                    vars(made[child]).update((n, v) for n, v in vars(child).items() if n not in OWN)
                module._modules[name] = made[child]
    return model


def dropouts(model: nn.Module) -> list[CountedDropout]:
    """The replaced layers, in the order of the network."""
    return [m for m in model.modules() if isinstance(m, CountedDropout)]


def keys(rows: Sequence[tuple[int, int]], steps: int, count: int) -> Tensor:
    """Keys [steps, rows, count] of the layers of networks in their next steps; a row: (trial's seed, its step now)."""
    if not count:
        return torch.empty(steps, len(rows), 0, dtype=torch.int64)
    first = torch.tensor([step for _, step in rows])
    seed = torch.tensor([seed_of(seed, "dropout") for seed, _ in rows])
    step = first + torch.arange(steps)[:, None]
    layer = torch.arange(count) + 1
    return mix(mix(step * FIRST + seed)[..., None] + layer * SECOND)


def _device(model: nn.Module) -> torch.device:
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device
