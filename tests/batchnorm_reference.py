"""Batch normalisation in numpy float64, line by line from Ioffe & Szegedy 2015, arXiv 1502.03167, without a framework.

Inputs are [N, C], [N, C, T] or [N, C, H, W]; `last=True` takes [N, C], [N, T, C] or [N, H, W, C]. There is one mean and
one variance for each channel, over all other axes (section 3.2). m is the number of values in a channel.
"""

from dataclasses import dataclass, field

import numpy as np


def by_channel(x, last=False):
    """[m, C] and the shape to go back to."""
    moved = x if last else np.moveaxis(x, 1, -1)
    return moved.reshape(-1, moved.shape[-1]), moved.shape


def back(flat, shape, last=False):
    moved = flat.reshape(shape)
    return moved if last else np.moveaxis(moved, -1, 1)


def forward(x, gamma, beta, eps, last=False):
    """Algorithm 1: y, and what the backward pass needs."""
    z, shape = by_channel(np.asarray(x, np.float64), last)
    m = len(z)
    mean = z.sum(0) / m  # mu_B
    variance = ((z - mean) ** 2).sum(0) / m  # sigma_B^2: biased
    normed = (z - mean) / np.sqrt(variance + eps)  # x^
    y = gamma * normed + beta
    return back(y, shape, last), (z, mean, variance, normed, gamma, eps, shape, last)


def backward(dy, kept):
    """Section 3, the six gradients, through the mean and the variance: dx, dgamma, dbeta."""
    z, mean, variance, normed, gamma, eps, shape, last = kept
    m = len(z)
    d, _ = by_channel(np.asarray(dy, np.float64), last)
    d_normed = d * gamma
    d_variance = (d_normed * (z - mean) * -0.5 * (variance + eps) ** -1.5).sum(0)
    d_mean = (d_normed * -1 / np.sqrt(variance + eps)).sum(0) + d_variance * (-2 * (z - mean)).sum(0) / m
    dx = d_normed / np.sqrt(variance + eps) + d_variance * 2 * (z - mean) / m + d_mean / m
    return back(dx, shape, last), (d * normed).sum(0), d.sum(0)


def inference(x, gamma, beta, mean, variance, eps, last=False):
    """Algorithm 2, step 11: a linear map."""
    z, shape = by_channel(np.asarray(x, np.float64), last)
    scale = gamma / np.sqrt(variance + eps)
    return back(scale * z + (beta - scale * mean), shape, last)


@dataclass
class Running:
    """Running statistics.

    Args:
        channels: how many.
        momentum: share of the newest mini-batch (PyTorch's convention; 1 − Keras'); None: the mean over all batches.
        unbiased: keep m/(m−1) times the mini-batch's variance, as PyTorch and Algorithm 2 do; Keras keeps it as it is.
    """

    channels: int
    momentum: float | None
    unbiased: bool
    steps: int = 0
    mean: np.ndarray = field(init=False)
    variance: np.ndarray = field(init=False)

    def __post_init__(self):
        self.mean, self.variance = np.zeros(self.channels), np.ones(self.channels)

    def update(self, x, last=False):
        z, _ = by_channel(np.asarray(x, np.float64), last)
        m = len(z)
        mean = z.sum(0) / m
        variance = ((z - mean) ** 2).sum(0) / (m - 1 if self.unbiased else m)
        self.steps += 1
        share = 1 / self.steps if self.momentum is None else self.momentum
        self.mean = (1 - share) * self.mean + share * mean
        self.variance = (1 - share) * self.variance + share * variance


def population(batches, last=False):
    """Mean and unbiased variance over all values of all mini-batches at once."""
    z = np.concatenate([by_channel(np.asarray(x, np.float64), last)[0] for x in batches])
    mean = z.sum(0) / len(z)
    return mean, ((z - mean) ** 2).sum(0) / (len(z) - 1)


def folded(weight, bias, gamma, beta, mean, variance, eps):
    """Weight [out, ...] and bias of the layer that does what layer and norm did."""
    scale = gamma / np.sqrt(variance + eps)
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), (bias - mean) * scale + beta
