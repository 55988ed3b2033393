"""Batch norm for stacks: the statistics of each row are summed over its own mini-batch, in the layout [M, B, C].

PyTorch's kernel would treat the mini-batches of a stack as one with M C channels. It is slow for that: without images,
its gradient takes longer than the rest of a small network. And in that layout, the order of the additions in the
gradients of γ and β depends on M, so that the result of a row would depend on how many others there are.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from zeroin.nn.stacking.linear import leading


class Normalise(torch.autograd.Function):
    """(x - mean) γ / sqrt(variance + ε) + β, of [..., B, C] by γ and β [..., 1, C].

    Returns also x - mean, 1 / sqrt(variance + ε), the mean and the variance [..., 1, C], without gradients.

    Source: Ioffe & Szegedy 2015, algorithm 1; its gradient with each sum over the mini-batch taken once.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        share = 1 / x.shape[-2]
        mean = x.sum(-2, keepdim=True) * share  # a sum is quicker than a mean
        centred = x - mean
        variance = (centred * centred).sum(-2, keepdim=True) * share
        scale = (variance + eps).sqrt_().reciprocal_()
        return torch.addcmul(bias, centred, weight * scale), centred, scale, mean, variance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _, centred, scale, mean, variance = output
        ctx.mark_non_differentiable(centred, scale, mean, variance)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(centred, scale, inputs[1])

    @staticmethod
    def backward(ctx: Any, g: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        to_x, to_weight, to_bias = NormaliseBackward.apply(g, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return to_x, to_weight, to_bias, None

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, ...], *inputs: Any) -> tuple[Any, ...]:
        """A stack is one more leading axis, which `forward` takes as it is."""
        return Normalise.apply(*leading(inputs, axes, info.batch_size)), (0,) * 5  # type: ignore[no-untyped-call]


class NormaliseBackward(torch.autograd.Function):
    """Gradients of x, γ and β."""

    @staticmethod
    def forward(g: Tensor, centred: Tensor, scale: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        to_bias = g.sum(-2, keepdim=True)
        to_weight = (g * centred).sum(-2, keepdim=True) * scale
        both, share = weight * scale, 1 / g.shape[-2]
        # both (g - mean of g - x̂ mean of g x̂), in two passes over the mini-batch
        rest = torch.addcmul(g, centred, to_weight * scale, value=-share)
        return torch.addcmul(to_bias * both * -share, rest, both), to_weight, to_bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def vmap(info: Any, axes: tuple[int | None, ...], *inputs: Any) -> tuple[Any, ...]:
        return NormaliseBackward.apply(*leading(inputs, axes, info.batch_size)), (0,) * 3  # type: ignore[no-untyped-call]


def normed(norm: _BatchNorm, x: Tensor) -> Tensor:
    """Apply a batch norm to a mini-batch [B, C, ...]; in training, its buffers are set to that batch's statistics."""
    norm._check_input_dim(x)  # type: ignore[no-untyped-call]
    norm.values = x.numel() // x.shape[1]  # type: ignore[assignment]  # of a channel in this mini-batch
    by_batch = norm.training or norm.running_mean is None
    if by_batch and x.dim() == 2:
        ones, zeros = x.new_ones(x.shape[1:]), x.new_zeros(x.shape[1:])
        weight, bias = (ones, zeros) if norm.weight is None else (norm.weight, norm.bias)
        out, _, _, mean, variance = Normalise.apply(x, weight[None], bias[None], norm.eps)  # type: ignore[no-untyped-call]
        if norm.running_mean is not None:
            _remember(norm, mean[0], variance[0] * (len(x) / (len(x) - 1)))
        return out  # type: ignore[no-any-return]
    if norm.training and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    normal = F.batch_norm(x, norm.running_mean, norm.running_var, None, None, by_batch, norm.momentum or 0.0, norm.eps)
    # If channels came last in its gradient as well, the last few of them would be rounded otherwise than the others.
    normal = normal.clone(memory_format=torch.contiguous_format)
    if norm.weight is None:
        return normal
    shape = (-1,) + (1,) * (x.dim() - 2)
    return normal * norm.weight.view(shape) + norm.bias.view(shape)


def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
