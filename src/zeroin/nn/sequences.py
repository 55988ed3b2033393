"""Ready-made networks for texts and sequences, made of PyTorch's own layers."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from zeroin.nn.networks import activated, dropout_of, mlp, norm_layers, redundant_bias
from zeroin.nn.recipe import number
from zeroin.types import Config

KERNEL = 5  # words that a convolution sees at once


class TextCNN(nn.Module):
    """An embedding, convolutions over the words, and the mean over the words of a text; see `text_cnn`."""

    def __init__(self, embed: nn.Embedding, blocks: nn.Sequential, head: nn.Sequential) -> None:
        super().__init__()
        self.embed, self.blocks, self.head = embed, blocks, head

    def forward(self, words: Tensor) -> Tensor:
        """Words [B, T] -> [B, outputs]."""
        there = (words > 0).to(self.embed.weight.dtype)[:, None]  # [B, 1, T]
        x = self.blocks(self.embed(words).transpose(1, 2) * there)  # [B, C, T]
        mean = (x * there).sum(2) / there.sum(2).clamp_min(1.0)  # [B, C]
        out: Tensor = self.head(mean)
        return out


def text_cnn(words: int, outputs: int, config: Config) -> nn.Module:
    """A network for texts: an embedding, blocks of Conv1d over 5 words, norm and activation, a mean, and a Linear.

    Args:
        words: the size of the vocabulary; 0 stands for no word and is left out of the mean.
        outputs: how many classes, or numbers to predict.
        config: layers (1), units (64: size of the embedding, and channels), and the rest as for `mlp`; dropout comes
            before the Linear.

    Returns:
        A network [B, T] -> [B, outputs], whose inputs are numbers of words.

    Raises:
        TaskError: as for `mlp`.

    Source: Kim 2014, arXiv 1408.5882, here with the mean over the words instead of their maximum.

    >>> import torch
    >>> text_cnn(100, 2, {"units": 8})(torch.tensor([[5, 7, 0], [1, 0, 0]])).shape
    torch.Size([2, 2])
    """
    width = _width(config)
    blocks = _convolutions(round(number(config, "layers", 1)), config)
    head = nn.Sequential(*dropout_of(config), nn.Linear(width, outputs))
    return TextCNN(nn.Embedding(words, width), blocks, head)


class Joined(nn.Module):
    """A network for numbers and texts: it takes the numbers and the mean of each text; see `columns_and_texts`."""

    def __init__(self, columns: int, lengths: Sequence[int], readers: Iterable[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.parts = (columns, *lengths)
        self.readers, self.head = nn.ModuleList(readers), head

    def forward(self, x: Tensor) -> Tensor:
        """Numbers and words [B, columns + all lengths] -> [B, outputs]."""
        columns, *texts = torch.split(x, list(self.parts), 1)
        means = [reader(words.long()) for reader, words in zip(self.readers, texts, strict=True)]  # [B, units] each
        out: Tensor = self.head(torch.cat([columns, *means], 1))
        return out


def columns_and_texts(columns: int, texts: Sequence[tuple[int, int]], outputs: int, config: Config) -> nn.Module:
    """A network for numbers and texts: each text is embedded, convolved and averaged; an `mlp` takes all of it.

    Args:
        columns: how many numbers an example has.
        texts: for each, the size of its vocabulary and how many words are read.
        outputs: how many classes, or numbers to predict.
        config: layers (2: of the `mlp`), units (64: of the embedding, the convolution and the `mlp`), and the rest as
            for `mlp`.

    Returns:
        A network [B, columns + all words that are read] -> [B, outputs]; words are given by number, 0 for no word.

    >>> columns_and_texts(3, [(100, 5)], 2, {"units": 8})(torch.zeros(4, 8)).shape
    torch.Size([4, 2])
    """
    width = _width(config)
    readers = [TextCNN(nn.Embedding(words, width), _convolutions(1, config), nn.Sequential()) for words, _ in texts]
    head = mlp(columns + width * len(texts), outputs, config)
    return Joined(columns, [length for _, length in texts], readers, head)


def _width(config: Config) -> int:
    return round(number(config, "units", 64))


def _convolutions(layers: int, config: Config) -> nn.Sequential:
    """Each over 5 words, with its norm and activation; [B, units, T] -> [B, units, T]."""
    width = _width(config)
    blocks: list[nn.Module] = []
    for _ in range(layers):
        blocks.append(nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, bias=not redundant_bias(config)))
        blocks += activated(config, width, 3)
    return nn.Sequential(*blocks)


class LastStep(nn.Module):
    """The state of a GRU after the last step."""

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        self.gru = gru

    def forward(self, x: Tensor) -> Tensor:
        """Sequences [B, T, F] -> [B, units]."""
        steps: Tensor = self.gru(x)[0]  # [B, T, units]
        return steps[:, -1]


def gru(features: int, outputs: int, config: Config) -> nn.Sequential:
    """A network for sequences: a GRU, a norm of its last state, and a Linear. Pad shorter sequences at the beginning.

    Args:
        features: how many numbers a step has.
        outputs: how many classes, or numbers to predict.
        config: layers (1), units (32), norm ("none"; "batch", "group" or "layer"; only of the last state, because each
            step of a recurrence would need its own statistics), bn_momentum, bn_eps, dropout (none) before the Linear.

    Returns:
        A network [B, T, features] -> [B, outputs].

    Raises:
        TaskError: the norm is unknown.

    Source: Cho et al. 2014, arXiv 1406.1078 (the gated recurrent unit); `torch.nn.GRU`.

    >>> import torch
    >>> gru(3, 2, {"units": 8})(torch.zeros(5, 7, 3)).shape
    torch.Size([5, 2])
    """
    units = round(number(config, "units", 32))
    recurrent = nn.GRU(features, units, num_layers=round(number(config, "layers", 1)), batch_first=True)
    return nn.Sequential(
        LastStep(recurrent), *norm_layers(config, units, 2), *dropout_of(config), nn.Linear(units, outputs)
    )
