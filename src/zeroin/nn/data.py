"""From what a user has (arrays, tensors, data sets) to checked, normalised mini-batches."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_collate

from zeroin.errors import TaskError
from zeroin.rng import seed_of

IN_MEMORY = 1 << 30  # bytes; a data set up to this size is read once and kept as tensors
STATISTICS = 2_000  # examples that the mean and variance of a larger one are taken from
HASHED = 1 << 26  # bytes of a set's inputs that tell it from another
CHUNK = 4096  # examples normalised at once, in float64

Edges: TypeAlias = list[tuple[int, int]]  # where each mini-batch of an epoch begins and ends


@dataclass(frozen=True, slots=True, eq=False)
class Normalisation:
    """Mean and scale of the training inputs, shaped to be broadcast over an example: [F], or [C, 1, 1] for images.

    >>> Normalisation(torch.tensor([1.0]), torch.tensor([2.0])).apply(torch.tensor([[5.0]]))
    tensor([[2.]])
    """

    mean: Tensor
    scale: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Inputs [B, ...] as float32 with the training set's mean at 0 and its deviation at 1."""
        out = torch.empty(x.shape, dtype=torch.float32)
        for a in range(0, len(x), CHUNK):
            out[a : a + CHUNK] = (x[a : a + CHUNK].double() - self.mean) / self.scale
        return out


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """A set kept as tensors: inputs [N, ...], targets [N, ...]."""

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
    """A set too large to keep, or one that differs each time it is read: examples are fetched batch by batch."""

    source: Dataset[Any]
    collate: Callable[[list[Any]], Any]
    readers: int
    prepare: Callable[[Any], tuple[Tensor, Tensor]]
    length: int

    def __len__(self) -> int:
        return self.length

    def batches(self, order: Tensor, edges: Edges) -> Iterator[tuple[Tensor, Tensor]]:
        """Mini-batches of the examples `order` [N], cut at `edges`."""
        chosen = [order[a:b].tolist() for a, b in edges]
        loader = DataLoader(self.source, batch_sampler=chosen, collate_fn=self.collate, num_workers=self.readers)
        return map(self.prepare, loader)


Data: TypeAlias = InMemory | OnDemand


def edges(count: int, batch_size: int) -> Edges:
    """Where the mini-batches of an epoch are cut: a last one of a single example joins the one before it.

    >>> edges(9, 4)
    [(0, 4), (4, 9)]
    """
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and batch_size > 1 and count - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


def order(seed: int, epoch: int, count: int) -> Tensor:
    """The order [count] in which an epoch visits the examples: a function of the trial's seed and the epoch."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed_of(seed, "order", epoch)))


def prepared(
    sets: dict[str, Any], loss: str | Callable[..., Any], *, normalise: bool, device: str
) -> tuple[dict[str, Data], Normalisation | None]:
    """Sets by name ("train" first), checked, normalised by the training set, on the device.

    Args:
        sets: each (X, y), a data set or a DataLoader.
        loss: "cross_entropy" makes targets class numbers, "mse" makes them real numbers.

    Raises:
        TaskError: what `Task` lists.
    """
    read = {name: _read(name, given) for name, given in sets.items()}
    first = _examples(read["train"])
    wanted = normalise and (first.is_floating_point() or first.dtype in (torch.uint8, torch.bool))
    normalisation = _normalisation(first) if wanted else None

    def inputs(name: str, x: Tensor) -> Tensor:
        _finite(f"{name} inputs", x)
        if normalisation is not None:
            if x.shape[1:] != first.shape[1:]:
                raise TaskError(
                    f"all sets have inputs of one shape; {name} has {list(x.shape[1:])}, train {list(first.shape[1:])} "
                    f"an example: prepare all sets in the same way."
                )
            return normalisation.apply(x).to(device)
        real = x.is_floating_point() or x.dtype in (torch.uint8, torch.bool)
        return (_single(f"{name} inputs", x) if real else x.long()).to(device)

    def ready(name: str, one: "tuple[Tensor, Tensor] | _Stream") -> Data:
        if isinstance(one, tuple):
            return InMemory(inputs(name, one[0]), _targets(name, one[1], loss).to(device))

        def prepare(batch: Any) -> tuple[Tensor, Tensor]:
            x, y = _pair(name, batch)
            return inputs(name, x), _targets(name, y, loss).to(device)

        return OnDemand(one.source, one.collate, one.readers, prepare, one.length)

    return {name: ready(name, one) for name, one in read.items()}, normalisation


def fingerprint(*sets: Any) -> str:
    """A short hash of what sets (X, y) hold, of an even choice of very large ones; empty for data sets and loaders,
    which may give other examples each time.

    >>> fingerprint(([1.0], [0])) == fingerprint(([1.5], [0])), fingerprint([[1, 2], [0, 0]])[:4]
    (False, 'd999')
    """
    digest = hashlib.blake2b(digest_size=16)
    for given in sets:
        if isinstance(given, Dataset | DataLoader) or not isinstance(given, Sequence):
            return ""
        for part in given:
            values = _tensor("data", part)
            chosen = values[:: max(1, values.numel() * values.element_size() // HASHED)]
            digest.update(f"{list(values.shape)} {values.dtype}".encode())
            digest.update(chosen.contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    source: Dataset[Any]
    collate: Callable[[list[Any]], Any]
    readers: int
    length: int


def _read(name: str, given: Any) -> "tuple[Tensor, Tensor] | _Stream":
    """A set as two tensors, or as a stream where it does not fit or differs from reading to reading."""
    collate, readers = default_collate, 0
    if isinstance(given, DataLoader):
        given, collate, readers = given.dataset, given.collate_fn or default_collate, given.num_workers
    if isinstance(given, TensorDataset) and collate is default_collate:
        given = given.tensors
    if not isinstance(given, Dataset):
        x, y = _pair(name, given)
        if len(x) != len(y):
            raise TaskError(
                f"inputs and targets are as many; the {name} set has {len(x)} inputs and {len(y)} targets: "
                f"check how it was cut; of several inputs make one, np.concatenate(inputs, axis=1), split in forward."
            )
        _filled(name, len(x))
        return x, y
    if isinstance(given, IterableDataset) or not hasattr(given, "__len__"):
        raise TaskError(
            f"a data set can be indexed and has a length; the {name} set is a {type(given).__name__}: "
            f"give a Dataset with __getitem__ and __len__."
        )
    count = len(given)
    _filled(name, count)
    once, again = (_pair(name, collate([given[0]])) for _ in range(2))
    same = all(a.shape == b.shape and bool((a == b).all() | (a != a).any()) for a, b in zip(once, again, strict=True))
    if same and count * sum(t.numel() * t.element_size() for t in once) <= IN_MEMORY:
        try:
            return _pair(name, collate([given[i] for i in range(count)]))
        except RuntimeError as error:
            raise TaskError(
                f"examples that are put together are of one shape; of the {name} set PyTorch says "
                f"'{str(error).splitlines()[0]}': give a DataLoader whose collate_fn pads them."
            ) from error
    return _Stream(given, collate, readers, count)


def _pair(name: str, given: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(given, Sequence) or len(given) != 2:
        raise TaskError(
            f"a set is (inputs, targets), a Dataset or a DataLoader; {name} is a {type(given).__name__}"
            f"{f' of {len(given)}' if isinstance(given, Sequence) else ''}: use {name}=(X, y)."
        )
    return _tensor(f"{name} inputs", given[0]), _tensor(f"{name} targets", given[1])


def taken(values: Any) -> Any:
    """A NumPy array as the tensor that networks and losses take; anything else as it is."""
    if not isinstance(values, np.ndarray):
        return values
    found = _tensor("values", values)
    return found.float() if found.is_floating_point() else found.long()


def _tensor(what: str, values: Any) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach().cpu()
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        remedy = "np.unique(y, return_inverse=True)[1]" if "targets" in what else "X.astype('float32')"
        raise TaskError(f"{what} are numbers; these are {array.dtype} such as {array.flat[0]!r}: use {remedy}.")
    if array.dtype.kind == "u" and array.dtype != np.uint8:
        array = array.astype(np.int64)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=True)))


def _filled(name: str, count: int) -> None:
    if count == 0:
        raise TaskError(f"each set has examples; the {name} set is empty: check how it was cut.")


def _finite(what: str, values: Tensor) -> None:
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
    _finite(f"{name} targets", y)
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
        raise TaskError(
            f"labels under cross_entropy are whole numbers from 0; the {name} set has {low}: "
            f"use np.unique(y, return_inverse=True)[1]."
        )
    return y.long()


def _examples(read: "tuple[Tensor, Tensor] | _Stream") -> Tensor:
    """Training inputs [n, ...] to take the mean and variance from: all, or an even choice of a large set."""
    if isinstance(read, tuple):
        return read[0]
    chosen = np.linspace(0, read.length - 1, min(read.length, STATISTICS)).astype(int)
    parts = [_pair("train", read.collate([read.source[int(i)]]))[0] for i in chosen]
    return torch.cat(parts)


def _normalisation(x: Tensor) -> Normalisation:
    """Per feature of [N, F] and [N, T, F], per channel of [N, C, H, W]; a constant feature keeps its scale."""
    _finite("train inputs", x)
    axes = tuple(range(max(1, x.dim() - 1))) if x.dim() < 4 else (0, *range(2, x.dim()))
    count = float(np.prod([x.shape[a] for a in axes]))
    mean = _sum(x, axes, lambda chunk: chunk) / count
    scale = (_sum(x, axes, lambda chunk: (chunk - mean).square()) / count).sqrt()
    scale[scale <= 1e-10 * mean.abs().clamp_min(1e-30)] = 1.0
    return Normalisation(mean, scale)


def _sum(x: Tensor, axes: tuple[int, ...], f: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum over examples in float64, shaped to be broadcast over one example."""
    total = torch.stack([f(c.double()).sum(axes, keepdim=True) for c in torch.split(x, CHUNK)]).sum(0)
    return total[0]
