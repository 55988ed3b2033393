"""Convolutions of a stack, and how many rows it needs at least, so that they round as those of larger stacks do.

A convolution of a stack is one of as many groups, and oneDNN picks a kernel by the number of groups, channels and
examples: of fewer than eight channels in all it is one that adds in another order. So those of few channels are given
channels of zeros, and the others are tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 8


def has_few_channels(layer: nn.Module) -> bool:
    """Whether `convolved` is for it."""
    return type(layer) is nn.Conv2d and layer.groups == 1 and layer.in_channels < CHANNELS


def convolved(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """What a Conv2d does with [B, C, H, W], with channels of zeros up to `CHANNELS`."""
    more = (0, 0, 0, 0, 0, CHANNELS - layer.in_channels)
    out: Tensor = layer._conv_forward(F.pad(x, more), F.pad(layer.weight, more), layer.bias)
    return out


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution as one row of a stack has it: shapes of inputs [B, C, ...] and kernels, and PyTorch's arguments."""

    inputs: tuple[int, ...]
    kernels: tuple[int, ...]
    biased: bool
    last: bool  # whether channels are innermost in memory
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, args: Sequence[Any], rows: int) -> "Convolution":
        """What `aten.convolution` was called with for a stack of so many rows.

        Raises:
            RuntimeError: inputs or kernels are the same for all rows.
        """
        x, w, bias, stride, padding, dilation, transposed, output_padding, groups = args
        if groups % rows or x.shape[1] % rows or w.shape[0] % rows:
            raise RuntimeError("a convolution takes what is the same for all networks")
        last = x.stride(1) == 1 and x.shape[1] > 1 and x[0, 0].numel() > 1
        return cls(
            inputs=(x.shape[0], x.shape[1] // rows, *x.shape[2:]),
            kernels=(w.shape[0] // rows, *w.shape[1:]),
            biased=bias is not None,
            last=last,
            stride=tuple(stride),
            padding=tuple(padding),
            dilation=tuple(dilation),
            transposed=transposed,
            output_padding=tuple(output_padding),
            groups=groups // rows,
        )

    def sized(self, was: int, now: int) -> "Convolution":
        """The same of a mini-batch of another size."""
        return replace(self, inputs=(self.inputs[0] * now // was, *self.inputs[1:]))


@cache
def least(one: Convolution, sizes: tuple[int, ...]) -> int:
    """The smallest of ascending sizes of stacks in which it gives what it gives in the largest, bit for bit.

    Kernels change once on the way from small stacks to large ones: where the smallest agrees, all are taken to.
    """
    wanted = _of_a_row(one, sizes[-1])
    for size in sizes[:-1]:
        if all(torch.equal(a, b) for a, b in zip(_of_a_row(one, size), wanted, strict=True)):
            return size
    return sizes[-1]


def _of_a_row(one: Convolution, rows: int) -> list[Tensor]:
    """Results and gradients of the first row of a stack of like rows, on numbers drawn."""
    drawn = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=drawn)

    def stacked(t: Tensor, axis: int) -> Tensor:
        return torch.cat([t] * rows, axis)

    outputs = one.kernels[1] * one.groups if one.transposed else one.kernels[0]
    x, w = stacked(draw(*one.inputs), 1), stacked(draw(*one.kernels), 0)
    if one.last:
        x = x.contiguous(memory_format=torch.channels_last if x.dim() == 4 else torch.channels_last_3d)
    bias = stacked(draw(outputs), 0) if one.biased else None
    how = one.stride, one.padding, one.dilation, one.transposed, one.output_padding, one.groups * rows
    out = torch.ops.aten.convolution(x, w, bias, *how)
    g = stacked(draw(len(out), outputs, *out.shape[2:]), 1)
    ask = [True, True, one.biased]
    to_x, to_w, to_bias = torch.ops.aten.convolution_backward(g, x, w, [outputs * rows], *how, ask)
    found = [out[:, :outputs], to_x[:, : one.inputs[1]], to_w[: one.kernels[0]]]
    return found + ([to_bias[:outputs]] if one.biased else [])
