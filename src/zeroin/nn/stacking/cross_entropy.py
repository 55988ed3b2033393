"""Cross-entropy for stacks, with its gradient in closed form: softmax minus target.

PyTorch's log-softmax processes one example after another, so that with ten classes most of each vector register is
idle; it took a sixth of the step of a network 64 wide.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zeroin.nn.stacking.linear import leading

# Elements in full vector registers are rounded differently from the last few: those must not belong to any row.
VECTORS = 64


class CrossEntropy(torch.autograd.Function):
    """Mean cross-entropy [...] of outputs [..., B, C] to classes [..., B], smoothed by `smooth` [...] or not at all.

    Returns also its gradient [..., B, C], without a gradient.

    Source: Szegedy et al. 2016, section 7, for the smoothing.
    """

    @staticmethod
    def forward(output: Tensor, target: Tensor, smooth: Tensor | None) -> tuple[Tensor, Tensor]:
        count, classes = output.shape[-2:]
        chosen = target.unsqueeze(-1)
        shifted = output - output.amax(-1, keepdim=True)
        powers = _exact(torch.exp, shifted)
        total = powers.sum(-1, keepdim=True)
        wrong = _exact(torch.log, total) - shifted.gather(-1, chosen)  # [..., B, 1]
        loss = wrong.mean((-2, -1))
        g = powers.mul_((total * count).reciprocal_())
        if smooth is None:
            less = torch.full_like(wrong, -1 / count)
            return loss, g.scatter_add_(-1, chosen, less)
        smooth = smooth[..., None, None].to(output.dtype)
        even = (shifted.gather(-1, chosen) - shifted.mean(-1, keepdim=True)).mean((-2, -1))  # of the other targets
        g = g.scatter_add_(-1, chosen, ((smooth - 1) / count).expand_as(wrong)).sub_(smooth / (count * classes))
        return loss + smooth[..., 0, 0] * even, g

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ARG004
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, g: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        (closed,) = ctx.saved_tensors
        return closed * g[..., None, None], None, None

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, ...], *inputs: Any) -> tuple[Any, ...]:
        """A stack is one more leading axis."""
        return CrossEntropy.apply(*leading(inputs, axes, info.batch_size)), (0, 0)  # type: ignore[no-untyped-call]


def cross_entropy(output: Tensor, target: Tensor, smooth: Tensor | None) -> Tensor:
    """Mean cross-entropy of a row's outputs [B, C] or [B, C, ...]; `smooth` is a scalar tensor."""
    if output.dim() > 2:  # an output for each step of a sequence
        output, target = output.movedim(1, -1).flatten(0, -2), target.flatten()
    return CrossEntropy.apply(output, target, smooth)[0]  # type: ignore[no-untyped-call, no-any-return]


def _exact(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function to [..., B, C] such that all elements are rounded alike."""
    if x.shape[-2:].numel() % VECTORS == 0:
        return function(x)
    return function(F.pad(x.flatten(), (0, VECTORS)))[: x.numel()].view(x.shape)
