"""Counter-based dropout: a mask is a function of (trial's seed, step, layer, position in the layer) and nothing else.

So a network draws the same masks whether it is trained alone or in a stack of networks, at whatever position.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zeroin.nn.layers import DROPOUTS
from zeroin.rng import seed_of

LEVELS = 1 << 16  # 16 random bits decide on each number, so rates are exact to 1 / 65,536
VIEWED = torch.__version__ >= "2.13"  # earlier, vmap cannot view numbers as others of fewer bits


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


# Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators": SplitMix64, its increment and its mixer.
GOLDEN, FIRST, SECOND = (_signed(w) for w in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
OWN = ("p", "_buffers", "_non_persistent_buffers_set")  # attributes that are not copied from PyTorch's layer
KINDS = {nn.Dropout: 0, nn.Dropout1d: 2, nn.Dropout2d: 2, nn.Dropout3d: 2}  # leading axes that a mask has; 0: all


class CountedDropout(nn.Module):
    """Replaces nn.Dropout, Dropout1d, Dropout2d and Dropout3d; it adds nothing to a state_dict.

    Args:
        p: the rate.
        axes: numbers that agree in so many leading axes are dropped together (2 for channels); 0: each by itself.
        inplace: whether the input is changed in place.
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
        """The rate, which a network may read and set as with PyTorch's layer.

        Raises:
            RuntimeError: the layer is shared by the rows of a stack, each of which has its own rate.
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
        """Inputs [B, ...] with some numbers set to 0 and the others scaled up."""
        if self.idle or not self.training:
            return x
        shape = torch.Size((*x.shape[: self.axes], *(1,) * (x.dim() - self.axes))) if self.axes else x.shape
        count = shape.numel()
        key = self.key + _signed(self.uses * 0xD6E8FEB86659FD93 % (1 << 64))
        self.uses += 1
        words = torch.arange(-(-count // 4), device=x.device) * GOLDEN + key  # 64 bits make four decisions
        kept = _quarters(mix(words))[:count].view(shape) >= self.threshold
        share = kept * (self.scale.to(x.dtype) if x.is_floating_point() else self.scale)
        return x.mul_(share) if self.inplace else x * share


def _quarters(words: Tensor) -> Tensor:
    """The 16-bit quarters [4 n] of words [n], the lowest of each first."""
    if VIEWED:
        return words.view(torch.int16)
    return torch.stack([(words >> bits).to(torch.int16) for bits in (0, 16, 32, 48)], dim=-1).flatten()


def mix(words: Tensor) -> Tensor:
    """SplitMix64's mixing function on int64, whose products wrap around: each output bit depends on each input bit.

    >>> mix(torch.tensor([1])).item() == _signed(0x5692161D100B05E5)
    True
    """
    words = words ^ (torch.bitwise_right_shift(words, 30) & 0x3FFFFFFFF)
    words *= FIRST
    words ^= torch.bitwise_right_shift(words, 27) & 0x1FFFFFFFFF
    words *= SECOND
    words ^= torch.bitwise_right_shift(words, 31) & 0x1FFFFFFFF
    return words


def begin_step(layers: Sequence[CountedDropout], keys: Tensor) -> None:
    """Give the layers their keys [layers] of a step."""
    for layer, key in zip(layers, keys, strict=True):
        layer.key.copy_(key)
        layer.uses = 0


def counted(model: nn.Module) -> nn.Module:
    """Replace the dropout layers of a network by counted ones, in place, under all their names and with their hooks."""
    made: dict[nn.Module, CountedDropout] = {}
    layers = [(m, name, child) for m in model.modules() for name, child in m._modules.items() if type(child) in KINDS]
    for owner, name, layer in layers:
        assert isinstance(layer, DROPOUTS)
        if layer not in made:
            made[layer] = CountedDropout(layer.p, KINDS[type(layer)], layer.inplace).to(_device(model))
            vars(made[layer]).update((n, v) for n, v in vars(layer).items() if n not in OWN)
        owner._modules[name] = made[layer]
    return model


def dropouts(model: nn.Module) -> list[CountedDropout]:
    """The counted dropout layers, in the order of the network's modules."""
    return [m for m in model.modules() if isinstance(m, CountedDropout)]


def keys(rows: Sequence[tuple[int, int]], steps: int, count: int) -> Tensor:
    """The keys [steps, rows, count] of dropout layers in the next steps; each row is (trial's seed, current step)."""
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
