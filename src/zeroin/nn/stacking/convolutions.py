"""Convolutions for stacks, and how many rows a stack needs at least so that they round as those of larger stacks do.

A convolution of a stack is a single one with a group for each row. oneDNN picks a kernel by the number of groups,
channels and examples, and its kernels add in different orders; with fewer than eight channels in all, another one is
used. So convolutions of few channels are padded with channels of zeros, and for others the smallest safe number of rows
is found by trying.

Images are in channels-last memory, with all rows side by side: [B, H, W, M C]. With the layout that vmap would choose,
max pooling took half of the step of a small convolutional network, and convolutions a third more time than now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroin.nn.stacking.linear import leading

CHANNELS = 8


class Convolve(torch.autograd.Function):
    """A convolution of [B, C, H, W], as `aten.convolution` has its arguments."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, *how: list[int]) -> Tensor:
        out: Tensor = torch.ops.aten.convolution(_last(x), _last(weight), bias, *how, False, [0, 0], groups)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        x, weight, bias, ctx.groups, *ctx.how = inputs
        ctx.outputs = None if bias is None else [len(weight)]
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        asked = [*ctx.needs_input_grad[:2], ctx.needs_input_grad[2] and ctx.outputs is not None]
        found = torch.ops.aten.convolution_backward(
            g, x, weight, ctx.outputs, *ctx.how, False, [0, 0], ctx.groups, asked
        )
        return *(one if is_asked else None for one, is_asked in zip(found, asked, strict=True)), *[None] * 4

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """A stack is one more axis within the channels, and as many groups."""
        rows, (x, weight, bias, groups, *how) = info.batch_size, inputs
        weight = _last(leading([weight], axes[1:2], rows)[0].flatten(0, 1))
        if bias is not None:
            bias = leading([bias], axes[2:3], rows)[0].flatten()
        out = Convolve.apply(side_by_side(x, axes[0], rows), weight, bias, groups * rows, *how)  # type: ignore[no-untyped-call]
        return out.unflatten(1, (rows, -1)), 1


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """`torch.conv2d`, with channels of zeros up to `CHANNELS`."""
    if x.dim() != 4 or isinstance(padding, str) or x.dtype != weight.dtype:
        return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)
    if groups == 1 and x.shape[1] < CHANNELS:
        more = (0, 0, 0, 0, 0, CHANNELS - x.shape[1])
        x, weight = F.pad(x, more), F.pad(weight, more)
    how = (list(_pair(one)) for one in (stride, padding, dilation))
    out: Tensor = Convolve.apply(x, weight, bias, groups, *how)  # type: ignore[no-untyped-call]
    return out


class MaxPool(torch.autograd.Function):
    """Max pooling of [B, C, H, W] with the arguments of `aten.max_pool2d_with_indices`; also returns the indices."""

    @staticmethod
    def forward(x: Tensor, *how: Any) -> tuple[Tensor, Tensor]:
        out: tuple[Tensor, Tensor] = torch.ops.aten.max_pool2d_with_indices(_last(x), *how)
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, *ctx.how = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, output[1])

    @staticmethod
    def backward(ctx: Any, g: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        x, where = ctx.saved_tensors
        return torch.ops.aten.max_pool2d_with_indices_backward(g, x, *ctx.how, where), *[None] * 5

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, ...], x: Tensor, *how: Any) -> tuple[Any, ...]:
        """A stack is one more axis within the channels."""
        found = MaxPool.apply(side_by_side(x, axes[0], info.batch_size), *how)  # type: ignore[no-untyped-call]
        return tuple(one.unflatten(1, (info.batch_size, -1)) for one in found), (1, 1)


def max_pool2d(
    x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """`F.max_pool2d`."""
    if x.dim() != 4:
        pool: Any = F.max_pool2d
        return pool(x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    how = (list(_pair(one)) for one in (kernel_size, stride or kernel_size, padding, dilation))
    found = MaxPool.apply(x, *how, ceil_mode)  # type: ignore[no-untyped-call]
    return found if return_indices else found[0]


def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """`F.adaptive_avg_pool2d`; made contiguous for an output of one pixel, where PyTorch sets other strides."""
    is_one = output_size in (1, (1, 1), [1, 1])
    return F.adaptive_avg_pool2d(x.contiguous() if is_one else x, output_size)


class SideBySide(torch.autograd.Function):
    """Images [M, B, C, H, W] as [B, M C, H, W] in channels-last memory; their gradient is in row order again.

    Otherwise sums of the gradient would depend on the position of a row in the stack.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        return _joined(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return torch.unflatten(g, 1, (ctx.rows, -1)).transpose(0, 1).contiguous()


def side_by_side(x: Tensor, axis: int | None, rows: int) -> Tensor:
    """Images of a stack as [B, M C, H, W], channels last."""
    if axis is None:
        return _last(x.repeat(1, rows, 1, 1))
    x = x.movedim(axis, 0)
    if x.is_contiguous():
        out: Tensor = SideBySide.apply(x)  # type: ignore[no-untyped-call]
        return out
    return _joined(x)


def _joined(x: Tensor) -> Tensor:
    return _last(x.transpose(0, 1).flatten(1, 2))


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _pair(value: Any) -> tuple[int, int]:
    one, two = (value, value) if isinstance(value, int) else (value * 2)[:2]
    return one, two


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution as a single row of a stack sees it: the shapes of inputs [B, C, ...] and kernels, and arguments."""

    inputs: tuple[int, ...]
    kernels: tuple[int, ...]
    biased: bool
    last: bool  # whether channels are innermost in memory
    how: tuple[Any, ...]  # stride, padding, dilation, whether it is transposed, output padding
    groups: int

    @classmethod
    def of(cls, args: Sequence[Any], rows: int) -> "Convolution":
        """From the arguments of `aten.convolution` for a stack of so many rows.

        Raises:
            RuntimeError: inputs or kernels are the same for all rows.
        """
        x, w, bias, *how, groups = args
        if groups % rows or x.shape[1] % rows or w.shape[0] % rows:
            raise RuntimeError("a convolution takes what is the same for all networks")
        return cls(
            inputs=(x.shape[0], x.shape[1] // rows, *x.shape[2:]),
            kernels=(w.shape[0] // rows, *w.shape[1:]),
            biased=bias is not None,
            last=x.stride(1) == 1 and x.shape[1] > 1 and x[0, 0].numel() > 1,
            how=tuple(one if isinstance(one, bool) else tuple(one) for one in how),
            groups=groups // rows,
        )


@cache
def least(one: Convolution, sizes: tuple[int, ...]) -> int:
    """The smallest of ascending `sizes` of stacks in which a convolution gives the same as in the largest, bit for bit.

    It is assumed that the kernel changes at most once between small and large stacks.
    """
    wanted = _of_a_row(one, sizes[-1])
    for size in sizes[:-1]:
        if all(torch.equal(a, b) for a, b in zip(_of_a_row(one, size), wanted, strict=True)):
            return size
    return sizes[-1]


def _of_a_row(one: Convolution, rows: int) -> list[Tensor]:
    """The results and gradients of the first row of a stack of equal rows, for random inputs."""
    drawn = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=drawn)

    def stacked(t: Tensor, axis: int) -> Tensor:
        return torch.cat([t] * rows, axis)

    *_, is_transposed, _ = one.how
    outputs = one.kernels[1] * one.groups if is_transposed else one.kernels[0]
    x, w = stacked(draw(*one.inputs), 1), stacked(draw(*one.kernels), 0)
    if one.last:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    bias = stacked(draw(outputs), 0) if one.biased else None
    how = *one.how, one.groups * rows
    out = torch.ops.aten.convolution(x, w, bias, *how)
    g = stacked(draw(len(out), outputs, *out.shape[2:]), 1)
    ask = [True, True, one.biased]
    to_x, to_w, to_bias = torch.ops.aten.convolution_backward(g, x, w, [outputs * rows], *how, ask)
    found = [out[:, :outputs], to_x[:, : one.inputs[1]], to_w[: one.kernels[0]]]
    return found + ([to_bias[:outputs]] if one.biased else [])
