"""Linear layers for stacks: the product adds the bias, and gradients have the layout of the weights.

With vmap and autograd alone, the gradient of a weight arrives transposed and is copied, and the bias takes a further
pass. For the few outputs of a classifier, MKL also takes two to four times as long for x Wᵀ as for its transpose.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NARROW = 16  # for fewer outputs than this, x Wᵀ takes longer than (W xᵀ)ᵀ


class Affine(torch.autograd.Function):
    """x Wᵀ + b, for x [..., B, I], weight [..., O, I] and bias [..., O], if any; `across`: the transposed result."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, across: bool) -> Tensor:
        left, right = (weight, x.mT) if across else (x, weight.mT)
        if bias is None:
            return left @ right
        added = bias.unsqueeze(-1 if across else -2)
        return (torch.addmm if x.dim() == 2 else torch.baddbmm)(added, left, right)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        x, weight, bias, ctx.across = inputs
        ctx.has_bias = bias is not None
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        g = g.mT if ctx.across else g
        to_x = g @ weight if ctx.needs_input_grad[0] else None
        return to_x, g.mT @ x, g.sum(-2) if ctx.has_bias else None, None

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """A stack is one more leading axis."""
        return Affine.apply(*leading(inputs, axes, info.batch_size)), 0  # type: ignore[no-untyped-call]


def leading(values: Iterable[Any], axes: Iterable[int | None], rows: int) -> list[Any]:
    """Tensors with the axis of the stack first, expanded if they are the same for all rows; other values unchanged."""
    return [
        value
        if not isinstance(value, Tensor)
        else value.expand(rows, *value.shape)
        if axis is None
        else value.movedim(axis, 0)
        for value, axis in zip(values, axes, strict=True)
    ]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear` of [..., I] by [O, I]."""
    if weight.dim() != 2 or x.dtype != weight.dtype:
        return F.linear(x, weight, bias)
    across = len(weight) < NARROW
    out: Tensor = Affine.apply(x.reshape(-1, x.shape[-1]), weight, bias, across)  # type: ignore[no-untyped-call]
    out = out.mT if across else out
    return out if x.dim() == 2 else out.reshape(*x.shape[:-1], -1)
