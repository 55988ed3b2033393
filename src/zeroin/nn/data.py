"""From the user's arrays, tensors or data sets to checked and normalised mini-batches."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from zeroin.errors import TaskError
from zeroin.nn.randomness import seeded
from zeroin.nn.sets import Stream, batch_of, evenly, read_set, tensor, unwrapped
from zeroin.rng import seed_of
from zeroin.wording import first_line

STATISTICS = 2_000  # examples from which the mean and variance of a larger set are computed
HASHED = 1 << 26  # bytes of a tensor that are hashed to identify it
CHUNK = 4096  # examples normalised at once, in float64

Edges: TypeAlias = list[tuple[int, int]]  # where each mini-batch of an epoch begins and ends


@dataclass(frozen=True, slots=True, eq=False)
class Normalisation:
    """The mean and standard deviation of the training inputs, shaped to broadcast: [F], or [C, 1, 1] for images.

    >>> Normalisation(torch.tensor([1.0]), torch.tensor([2.0])).apply(torch.tensor([[5.0]]))
    tensor([[2.]])
    """

    mean: Tensor
    scale: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Inputs [B, ...] as float32, with the training set's mean subtracted, divided by its standard deviation."""
        out = torch.empty(x.shape, dtype=torch.float32)
        for a in range(0, len(x), CHUNK):
            out[a : a + CHUNK] = (x[a : a + CHUNK].double() - self.mean) / self.scale
        return out


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """A data set that is kept as tensors: inputs [N, ...] and targets [N, ...]."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, order: Tensor, edges: Edges) -> Iterator[tuple[Tensor, Tensor]]:
        """Mini-batches of the examples `order` [N], cut at `edges`."""
        order = order.to(self.x.device)
        for a, b in edges:
            chosen = order[a:b]
            yield self.x.index_select(0, chosen), self.y.index_select(0, chosen)


@dataclass(frozen=True, slots=True, eq=False)
class OnDemand:
    """A data set that is too large to keep, or that differs from reading to reading: it is read batch by batch."""

    stream: Stream
    prepare: Callable[[Any], tuple[Tensor, Tensor]]

    def __len__(self) -> int:
        return self.stream.length

    def batches(self, order: Tensor, edges: Edges) -> Iterator[tuple[Tensor, Tensor]]:
        """Mini-batches of the examples `order` [N], cut at `edges`."""
        chosen, given = [order[a:b].tolist() for a, b in edges], self.stream
        loader = DataLoader(given.source, batch_sampler=chosen, collate_fn=given.collate, **given.reading)
        return map(self.prepare, loader)


Data: TypeAlias = InMemory | OnDemand


def edges(count: int, batch_size: int) -> Edges:
    """The (begin, end) of each mini-batch of an epoch; a single example that is left over joins the one before it.

    >>> edges(9, 4)
    [(0, 4), (4, 9)]
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and batch_size > 1 and count - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


def order(seed: int, epoch: int, count: int) -> Tensor:
    """The order [count] in which an epoch visits the examples, a function of the trial's seed and the epoch."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed_of(seed, "order", epoch)))


def prepared(
    sets: dict[str, Any], loss: str | Callable[..., Any], *, normalise: bool, device: str
) -> tuple[dict[str, Data], Normalisation | None]:
    """Data sets, checked, normalised and moved to the device.

    Args:
        sets: by name, "train" first; each (X, y), a Dataset or a DataLoader.
        loss: for "cross_entropy" targets become class numbers, for "mse" real numbers.
        normalise: whether to subtract the training set's mean and divide by its standard deviation.
        device: as PyTorch names it.

    Returns:
        The sets by name, and how they were normalised, if they were.

    Raises:
        TaskError: as for `Task`.
    """
    read = {name: read_set(name, given) for name, given in sets.items()}
    some = _examples(read["train"])
    first = some[0]
    wanted = normalise and (first.is_floating_point() or first.dtype in (torch.uint8, torch.bool))
    normalisation = _normalisation(_joined(some)) if wanted else None

    def inputs(name: str, x: Tensor) -> Tensor:
        check_finite(f"{name} inputs", x)
        if normalisation is not None:
            if _kept(x) != _kept(first):
                raise TaskError(
                    f"all sets have inputs of one shape; {name} has {list(x.shape[1:])}, train {list(first.shape[1:])} "
                    f"an example: prepare all sets in the same way."
                )
            return normalisation.apply(x).to(device)
        real = x.is_floating_point() or x.dtype in (torch.uint8, torch.bool)
        return (_single(f"{name} inputs", x) if real else x.long()).to(device)

    def ready(name: str, one: tuple[Tensor, Tensor] | Stream) -> Data:
        if isinstance(one, tuple):
            return InMemory(inputs(name, one[0]), _targets(name, one[1], loss).to(device))

        def prepare(batch: Any) -> tuple[Tensor, Tensor]:
            x, y = batch_of(name, batch)
            return inputs(name, x), _targets(name, y, loss).to(device)

        return OnDemand(one, prepare)

    return {name: ready(name, one) for name, one in read.items()}, normalisation


def fingerprint(*sets: Any) -> str:
    """A short hash of the contents of sets (X, y), evenly sampled if they are very large.

    It is empty for Datasets and DataLoaders, whose examples may differ from reading to reading, but for those of
    TensorDatasets.

    >>> fingerprint(([1.0], [0])) == fingerprint(([1.5], [0])), fingerprint([[1, 2], [0, 0]])[:4]
    (False, 'd999')
    """
    digest = hashlib.blake2b(digest_size=16)
    for given in map(partial(unwrapped, "data"), sets):
        if isinstance(given, Dataset | DataLoader) or not isinstance(given, Sequence):
            return ""
        for part in given:
            values = tensor("data", part)
            chosen = values[:: max(1, values.numel() * values.element_size() // HASHED)]
            digest.update(f"{list(values.shape)} {values.dtype}".encode())
            digest.update(chosen.contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_finite(what: str, values: Tensor) -> None:
    """Check that numbers are neither NaN nor infinite.

    Raises:
        TaskError: some are.
    """
    if values.is_floating_point() and (bad := int((~torch.isfinite(values)).sum())):
        raise TaskError(
            f"data are finite numbers; {bad} of {values.numel()} {what} are NaN or infinite: "
            f"leave those examples out, or fill the gaps with the mean of the training set."
        )


def _single(what: str, values: Tensor) -> Tensor:
    """Numbers in single precision, in which networks are trained."""
    out = values.float()
    if not bool(torch.isfinite(out).all()):
        raise TaskError(
            f"data are numbers below 3.4e38, the largest in single precision; {what} go to "
            f"{values.double().abs().max().item():.3g}: measure them in another unit, or take the logarithm."
        )
    return out


def _targets(name: str, y: Tensor, loss: str | Callable[..., Any]) -> Tensor:
    """Class numbers as int64, real numbers as float32."""
    check_finite(f"{name} targets", y)
    if loss != "cross_entropy":
        return _single(f"{name} targets", y) if loss == "mse" or y.is_floating_point() else y.long()
    if y.dim() == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.is_floating_point() and len(odd := y[y != y.round()]):
        raise TaskError(
            f"labels under cross_entropy are whole numbers from 0; the {name} set has {odd[0].item():g}: "
            f"use loss='mse' for real numbers, or np.unique(y, return_inverse=True)[1] for labels."
        )
    if (low := int(y.min())) < 0:
        remedy = "np.unique(y, return_inverse=True)[1]"
        if low == nn.CrossEntropyLoss().ignore_index:
            remedy = "loss=nn.CrossEntropyLoss(), which leaves them out"
        raise TaskError(f"labels under cross_entropy are whole numbers from 0; the {name} set has {low}: use {remedy}.")
    return y.long()


def _examples(read: tuple[Tensor, Tensor] | Stream) -> list[Tensor]:
    """Training inputs [n, ...] from which the mean and variance are computed: all, or an even sample of a large set."""
    if isinstance(read, tuple):
        return [read[0]]
    with seeded(0):  # the same each time, whatever the set draws: a study that goes on needs the same inputs
        return [batch_of("train", read.collate([read.source[i]]))[0] for i in evenly(read.length, STATISTICS).tolist()]


def _joined(some: list[Tensor]) -> Tensor:
    """Inputs as one tensor; of different lengths or sizes by step or pixel, which have the same mean and variance.

    Raises:
        TaskError: they have other features.
    """
    if len(some) == 1:
        return some[0]
    try:
        if any(x.dim() > 2 and x.shape[1:] != some[0].shape[1:] for x in some):
            some = [_each(x) for x in some]
        return torch.cat(some)
    except RuntimeError as error:
        raise TaskError(
            f"inputs are normalised by feature, of which all have as many; for the train set PyTorch says "
            f"'{first_line(error)}': pad them to one length, or use normalise=False."
        ) from error


def _each(x: Tensor) -> Tensor:
    """Sequences [n, T, F] as [n · T, 1, F], images [n, C, H, W] as [n · H · W, C, 1, 1]."""
    at = _feature_axis(x)
    each = x.movedim(at, -1).reshape(-1, *(1,) * (x.dim() - 2), x.shape[at])
    return each.movedim(-1, at)


def _feature_axis(x: Tensor) -> int:
    """That of the features of [N, F] and [N, T, F], of the channels of [N, C, H, W]."""
    return x.dim() - 1 if x.dim() < 4 else 1


def _kept(x: Tensor) -> tuple[int, int]:
    """What all inputs have in common that are normalised: their axes, and how many features there are."""
    return x.dim(), x.shape[_feature_axis(x)] if x.dim() > 1 else 1


def _normalisation(x: Tensor) -> Normalisation:
    """Per feature of [N, F] and [N, T, F], per channel of [N, C, H, W]; a constant feature keeps its scale."""
    check_finite("train inputs", x)
    axes = tuple(a for a in range(x.dim()) if a == 0 or a != _feature_axis(x))
    count = float(np.prod([x.shape[a] for a in axes]))
    mean = _sum(x, axes, lambda chunk: chunk) / count
    scale = (_sum(x, axes, lambda chunk: (chunk - mean).square()) / count).sqrt()
    scale[scale <= 1e-10 * mean.abs().clamp_min(1e-30)] = 1.0
    return Normalisation(mean, scale)


def _sum(x: Tensor, axes: tuple[int, ...], f: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum over examples in float64, shaped to be broadcast over one example."""
    total = torch.stack([f(c.double()).sum(axes, keepdim=True) for c in torch.split(x, CHUNK)]).sum(0)
    return total[0]
