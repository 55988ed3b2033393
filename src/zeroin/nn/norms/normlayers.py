"""Normalisation layers of each kind."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeroin.errors import TaskError

KINDS = ("batch", "group", "layer")
GROUPS = 32  # of group normalisation, or the most that divide the channels: Wu & He 2018, section 4.1
TOGETHER = 16  # channels in a group at least where an example has one value of each: of two only their order is left
BY_AXES: dict[int, type[nn.modules.batchnorm._BatchNorm]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}


class ChannelsLast(nn.Module):
    """Gives a norm over [N, C] the inputs [N, T, C] of a Linear on sequences: one value per channel over (N, T).

    >>> ChannelsLast(nn.BatchNorm1d(4))(torch.zeros(2, 7, 4)).shape
    torch.Size([2, 7, 4])
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [..., C]."""
        result: Tensor = self.norm(x.flatten(0, -2)).reshape(x.shape)
        return result


@dataclass(frozen=True, slots=True)
class Settings:
    """The kind and the numbers of normalisation layers to be made.

    Args:
        kind: "batch", "group" or "layer".
        momentum: the share of the newest mini-batch in the running statistics, as in PyTorch.
        eps: added to the variance.
        groups: of a group norm; None: 32 for sequences and images, behind a Linear as many as leave 16 channels each.
    """

    kind: str = "batch"
    momentum: float | None = 0.1
    eps: float = 1e-5
    groups: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TaskError(f"a norm is one of {', '.join(KINDS)}; got {self.kind!r}: use kind='batch'.")


def make(how: Settings, channels: int, axes: int, last: bool) -> nn.Module:
    """Make a normalisation layer.

    Args:
        how: its kind and numbers.
        channels: of the inputs.
        axes: of the inputs, N included: 2 for [N, C], 3 for [N, C, T], 4 for images.
        last: whether the channels are the last axis, as behind a Linear.

    Returns:
        The layer. A layer norm is over all axes but N for images, and over the channels behind a Linear.

    Raises:
        TaskError: the inputs have one axis, or more than five.

    >>> make(Settings("group"), 48, 4, last=False).num_groups
    24

    Source: Ioffe & Szegedy 2015, section 3.2 (per channel in convolutions); Wu & He 2018, equations 1-7; Ba et al.
    2016, equations 3-4.
    """
    if axes < 2 or (not last and axes not in BY_AXES):
        raise TaskError(f"a norm takes [N, C, ...]; here are tensors of {axes} axes: give it a mini-batch.")
    if how.kind == "layer" and last:
        return nn.LayerNorm(channels, eps=how.eps)
    if how.kind == "batch":
        norm: nn.Module = BY_AXES[2 if last else axes](channels, eps=how.eps, momentum=how.momentum)
    else:
        norm = nn.GroupNorm(_groups(how, channels, last or axes == 2), channels, eps=how.eps)
    return ChannelsLast(norm) if last and axes > 2 else norm


def _groups(how: Settings, channels: int, single: bool) -> int:
    """The largest number of groups that divides the channels; `single`: an example has one value per channel."""
    if how.kind == "layer":
        return 1
    smallest = TOGETHER if single and how.groups is None else 2
    most = max(1, min(GROUPS if how.groups is None else how.groups, channels // smallest))
    return next(g for g in range(most, 0, -1) if channels % g == 0)


def matched(norm: nn.Module, layer: nn.Module) -> nn.Module:
    """A norm moved to the device, dtype and mode of a layer."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return norm.to(device=weight.device, dtype=weight.dtype).train(layer.training)
