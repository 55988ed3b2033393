"""Sets as a user gives them (arrays, tensors, data sets, loaders), read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Subset, TensorDataset, default_collate

from zeroin.errors import TaskError
from zeroin.nn.randomness import generator_states, seeded
from zeroin.wording import first_line

IN_MEMORY = 1 << 30  # bytes; a data set up to this size is read once and kept as tensors
REREAD = 64  # examples that are read twice, to see whether a set gives others each time
READING = ("num_workers", "worker_init_fn", "multiprocessing_context", "prefetch_factor")  # how a loader reads


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A data set that is read as it is needed; see `zeroin.nn.data.OnDemand`."""

    source: Dataset[Any]
    collate: Callable[[list[Any]], Any]
    reading: Mapping[str, Any]  # how a DataLoader does so
    length: int


def read_set(name: str, given: Any) -> tuple[Tensor, Tensor] | Stream:
    """A set as two tensors, or as a stream where it does not fit or differs from reading to reading.

    Raises:
        TaskError: it is none, is empty, or its examples are no tensors of one shape.
    """
    given = unwrapped(name, given)
    collate, indexed = default_collate, isinstance(given, Dataset)
    reading: dict[str, Any] = {}
    if isinstance(given, DataLoader):
        collate, indexed = given.collate_fn or default_collate, True
        reading = {option: getattr(given, option) for option in READING}
        given = _chosen(name, given)
    if indexed:
        return _read(name, given, collate, reading)
    x, y = _pair(name, given)
    if len(x) != len(y):
        raise TaskError(
            f"inputs and targets are equal in number; the {name} set has {len(x)} inputs and {len(y)} targets: "
            f"check how it was cut; of several inputs make one, np.concatenate(inputs, axis=1), split in forward."
        )
    _check_filled(name, len(x))
    return x, y


def unwrapped(name: str, given: Any) -> Any:
    """The tensors of a `TensorDataset`, also in a loader that gives all of it as it is; anything else as it is."""
    loader, source = (given, given.dataset) if isinstance(given, DataLoader) else (None, given)
    if type(source) is not TensorDataset:  # one of the user's own may give other examples
        return given
    if loader and (loader.collate_fn not in (None, default_collate) or _chosen(name, loader) is not source):
        return given
    return source.tensors


def _read(
    name: str, source: Any, collate: Callable[[list[Any]], Any], reading: Mapping[str, Any]
) -> tuple[Tensor, Tensor] | Stream:
    """`read_set` of a data set, whose examples are asked for one by one."""
    if isinstance(source, IterableDataset) or not hasattr(source, "__len__"):
        raise TaskError(
            f"a data set can be indexed and has a length; the {name} set is a {type(source).__name__}: "
            f"give a Dataset with __getitem__ and __len__."
        )
    count = len(source)
    _check_filled(name, count)

    def read(i: int) -> tuple[Tensor, Tensor]:
        return batch_of(name, collate([source[i]]))

    with seeded(0):
        size = count * sum(t.numel() * t.element_size() for t in read(0))
        if size > IN_MEMORY or any(_differs(read, i) for i in evenly(count, REREAD).tolist()):
            return Stream(source, collate, reading, count)
        try:
            return batch_of(name, collate([source[i] for i in range(count)]))
        except RuntimeError as error:
            raise TaskError(
                f"examples of a mini-batch have one shape; for the {name} set PyTorch says "
                f"'{first_line(error)}': give a DataLoader whose collate_fn pads them."
            ) from error


def _differs(read: Callable[[int], tuple[Tensor, Tensor]], i: int) -> bool:
    """Whether an example is another when it is read again, or may be, as random numbers are drawn."""
    once, stood = read(i), generator_states()
    again, stands = read(i), generator_states()
    same = all(a.shape == b.shape and bool((a == b).all() | (a != a).any()) for a, b in zip(once, again, strict=True))
    return not same or stood != stands


def _chosen(name: str, loader: DataLoader[Any]) -> Any:
    """The examples that a loader gives: those of its data set that its sampler chooses, in order of their numbers.

    Raises:
        TaskError: it gives an example more than once, other examples in each epoch, or no single examples.
    """
    source = loader.dataset
    if isinstance(source, IterableDataset) or not hasattr(source, "__len__"):
        return source
    if loader.batch_sampler is None:
        raise TaskError(
            f"a DataLoader makes mini-batches of single examples; that of the {name} set has batch_size=None: give "
            f"the examples themselves, {name}=(X, y), or a Dataset of them."
        )
    batches: Any = loader.batch_sampler
    numbers, others = (drawn(batches, seed, len(source)) for seed in range(2))
    if len(set(numbers)) < len(numbers):
        raise TaskError(
            f"an epoch has each example once, in an order of its own; the sampler of the {name} set gives some "
            f"several times: weight them in the loss, as nn.CrossEntropyLoss(weight=...) does, or give a "
            f"Subset(data, numbers) in which they are repeated."
        )
    if set(numbers) != set(others):
        raise TaskError(
            f"all epochs have the same examples; the sampler of the {name} set gives {len(numbers)} of {len(source)}, "
            f"others each time: give the data without it, or a Subset(data, numbers)."
        )
    return source if len(numbers) == len(source) else Subset(source, sorted(numbers))


def drawn(batches: Any, seed: int, most: int) -> list[int]:
    """The numbers of the examples of an epoch, one more than there are at most: a sampler may never end."""
    with seeded(seed):
        each = batches.sampler if type(batches) is BatchSampler else (i for batch in batches for i in batch)
        return [int(i) for i in islice(each, most + 1)]


def batch_of(name: str, given: Any) -> tuple[Tensor, Tensor]:
    """A collated mini-batch as two tensors.

    Raises:
        TaskError: it has more than one input and one target, or they are no tensors.
    """
    for part in given if isinstance(given, Sequence) else ():
        several = isinstance(part, Sequence) and any(getattr(one, "ndim", 0) for one in part)
        if several or isinstance(part, Mapping):
            raise TaskError(
                f"an example is one input and one target, each a tensor; a mini-batch of the {name} set has a "
                f"{type(part).__name__} of {len(part)}: put them into one tensor (torch.cat), and take them apart "
                f"in forward."
            )
    return _pair(name, given)


def _pair(name: str, given: Any) -> tuple[Tensor, Tensor]:
    if isinstance(given, Mapping):
        raise TaskError(
            f"an example is (input, target); the {name} set has a {type(given).__name__} of "
            f"{', '.join(map(str, given))}: give a DataLoader with collate_fn=lambda batch: (inputs, targets)."
        )
    if not isinstance(given, Sequence) or len(given) != 2:
        raise TaskError(
            f"a set is (inputs, targets), a Dataset or a DataLoader; {name} is a {type(given).__name__}"
            f"{f' of {len(given)}' if isinstance(given, Sequence) else ''}: use {name}=(X, y)."
        )
    return tensor(f"{name} inputs", given[0]), tensor(f"{name} targets", given[1])


def taken(values: Any) -> Any:
    """A NumPy array as the tensor that networks and losses take; anything else as it is."""
    if not isinstance(values, np.ndarray):
        return values
    found = tensor("values", values)
    return found.float() if found.is_floating_point() else found.long()


def tensor(what: str, values: Any) -> Tensor:
    """Numbers of any kind as a dense tensor on the CPU.

    Args:
        what: they are, for errors: "train inputs".
        values: an array, a tensor or lists.

    Raises:
        TaskError: they are sparse, no numbers, or of different lengths.
    """
    if getattr(values, "is_sparse", False) or type(values).__module__.startswith("scipy.sparse"):
        dense = "X.to_dense()" if isinstance(values, Tensor) else "X.toarray()"
        raise TaskError(f"{what} are dense arrays; these are a sparse {type(values).__name__}: use {dense}.")
    if isinstance(values, Mapping):
        raise TaskError(
            f"{what} are one tensor; these are a {type(values).__name__} of {', '.join(map(str, values))}: put them "
            f"into one (np.concatenate), and take them apart in forward."
        )
    if isinstance(values, Tensor):
        # NumPy, which hashes data, has no bfloat16.
        return (values.float() if values.dtype is torch.bfloat16 else values).detach().cpu()
    if np.ma.is_masked(values):
        values = np.ma.filled(values.astype(float), np.nan)
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise TaskError(
            f"examples are of one shape; {what} are not ({str(error).split('. ')[0]}): pad them to one length, or "
            f"cut them."
        ) from error
    if array.dtype.kind not in "fiub":
        raise TaskError(_no_numbers(what, array))
    if array.dtype.kind == "u" and array.dtype != np.uint8:
        array = array.astype(np.int64)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=True)))


def _no_numbers(what: str, array: np.ndarray[Any, Any]) -> str:
    """That inputs or targets are no numbers, with one that is none, if there is one among objects."""
    word = next((value for value in array.flat if isinstance(value, str)), None) if array.dtype.kind == "O" else None
    such = repr(next(array.flat, "") if word is None else word)[:60]
    remedy = "X.astype('float32')" if word is None else "pd.get_dummies(X).astype('float32')"
    if "targets" in what:
        remedy = "np.unique(y, return_inverse=True)[1]"
    return f"{what} are numbers; these are {array.dtype} such as {such}: use {remedy}."


def _check_filled(name: str, count: int) -> None:
    if count == 0:
        raise TaskError(f"each set has examples; the {name} set is empty: check how it was cut.")


def evenly(count: int, examples: int | None) -> Tensor:
    """Numbers of so many of `count` examples, evenly spread; all for None."""
    return torch.linspace(0, count - 1, min(count, examples or count), dtype=torch.float64).long()  # exact past 2^24
