"""Numbers of a table in pieces, for a network that takes steps and bends as easily as straight lines."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class Bins(nn.Module):
    """How much farther than 0 each of some inputs has come through each of its bins, before the inputs themselves.

    A number below a bin is 0 in it, above it 1, between its ends the share of the way (piecewise linear encoding,
    Gorishniy et al. 2022, arXiv 2203.05556). What 0, the mean of the training rows, has there is taken away, as inputs
    of mean 0 train faster. The inputs stay as they are in memory, whatever the number of bins.

    Args:
        ends: of the bins of each input that has some, by its place among the inputs; rising.

    >>> Bins({1: (-1.0, 1.0, 3.0)})(torch.tensor([[7.0, 2.0], [7.0, 0.0]])).tolist()
    [[0.5, 0.5, 7.0, 2.0], [0.0, 0.0, 7.0, 0.0]]
    """

    place: Tensor
    left: Tensor
    right: Tensor
    usual: Tensor

    def __init__(self, ends: Mapping[int, Sequence[float]]) -> None:
        super().__init__()
        places = [place for place, known in ends.items() for _ in known[1:]]
        self.register_buffer("place", torch.tensor(places))
        self.register_buffer("left", torch.tensor([left for known in ends.values() for left in known[:-1]]))
        self.register_buffer("right", torch.tensor([right for known in ends.values() for right in known[1:]]))
        self.register_buffer("usual", torch.zeros(len(places)).clamp(self.left, self.right))

    def forward(self, x: Tensor) -> Tensor:
        """[B, F] -> [B, bins of all inputs + F]."""
        within = x[:, self.place].clamp(self.left, self.right)
        return torch.cat([(within - self.usual) / (self.right - self.left), x], 1)
