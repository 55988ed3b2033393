"""Recalibration: the running statistics of batch norms are replaced by exact ones of the training data."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from zeroin.checked import is_whole
from zeroin.errors import TaskError
from zeroin.nn.data import check_finite
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.modes import as_in_evaluation, on_batches
from zeroin.nn.norms.surgery import check_in_sight
from zeroin.nn.norms.trace import tensors, watched
from zeroin.nn.precision import exact
from zeroin.nn.problem import Problem
from zeroin.nn.sets import evenly, taken
from zeroin.wording import first_line

EXAMPLES = 10_000  # so many suffice: Wu & Johnson 2021, section 3.2 (1,000 to 10,000)
BATCH = 256


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """What recalibration changed; `str` puts it into words.

    Args:
        layers: (path, shift) of each batch norm; the shift is the largest change of a running mean, in standard
            deviations of its channel.
        examples: how many were averaged over.
    """

    layers: tuple[tuple[str, float], ...]
    examples: int

    def __str__(self) -> str:
        words = [f"{path}: means moved by up to {shift:.2g} deviations" for path, shift in self.layers]
        return "\n".join([*words, f"{self.examples:,} examples"]) if words else "no batch norm with running statistics"


@dataclass(slots=True)
class Moments:
    """The mean and the sum of squared deviations of all values seen, per channel, merged without cancellation.

    They are float64, [C] each, or [M, C] for M networks.

    Source: Chan, Golub & LeVeque 1983, equations 2.1.
    """

    count: int = 0
    mean: Tensor | None = None
    squares: Tensor | None = None

    def add(self, x: Tensor) -> None:
        """Merge the values of [B, C, ...]."""
        flat = exact(x.detach()).movedim(1, 0).flatten(1)  # [C, B...]
        count, mean = flat.shape[1], flat.mean(1)
        self.merge(count, mean, (flat - mean[:, None]).square().sum(1))

    def merge(self, count: int, mean: Tensor, squares: Tensor) -> None:
        """Merge `count` further values, given by their mean and their sum of squared deviations."""
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = count, mean, squares
            return
        total = self.count + count
        gap = mean - self.mean
        self.mean = self.mean + gap * (count / total)
        self.squares = self.squares + squares + gap.square() * (self.count * count / total)
        self.count = total

    def variance(self) -> Tensor:
        """The unbiased variance, which PyTorch keeps."""
        assert self.squares is not None
        return self.squares / max(1, self.count - 1)


def recalibrate(
    model: nn.Module, data: Any, *, batch_size: int = BATCH, examples: int | None = None, layerwise: bool = False
) -> Recalibrated:
    """Give every batch norm the exact mean and variance of the training data, instead of moving averages.

    They are computed over all examples at once: E[z], and n/(n−1) times E[(z − E[z])²]. The mean of the mini-batches'
    variances (the paper's Algorithm 2) would leave out how far the mini-batches' means lie apart, and so depend on how
    the data are divided. Dropout is off, as it will be when the statistics are used. No weight changes.

    Args:
        model: the network; its running statistics are changed in place.
        data: training inputs as the network takes them: a `Task` or its `problem` (the normalised training set), a
            tensor, (X, y), or an iterable of mini-batches x or (x, y), x being a tensor or a dict of tensors.
        batch_size: how a task, a tensor or a pair is divided.
        examples: stop after so many (of a task or a tensor, evenly chosen); 1,000 to 10,000 suffice. None: all.
        layerwise: whether to make one pass for each norm, with all norms before it already recalibrated. Then the
            statistics are exactly those of the network that will be evaluated, however the data are divided. Otherwise
            a single pass serves all norms, which normalise by the statistics of each mini-batch, as in training.

    Returns:
        How far each norm was off.

    Raises:
        TaskError: there are no data, the network does not take them, torch.jit hides its norms, a mini-batch has only
            one value per channel, data are NaN, or the mini-batches can be iterated over only once but `layerwise`
            needs them again.

    >>> net = nn.Sequential(nn.BatchNorm1d(1))
    >>> _ = recalibrate(net, torch.tensor([[1.0], [2.0], [6.0]]))
    >>> net[0].running_mean, net[0].running_var
    (tensor([3.]), tensor([7.]))

    Source: Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 2, steps 7-11; Wu & Johnson 2021, arXiv 2105.07576,
    section 3 (Precise BatchNorm).
    """
    check_in_sight(model)
    norms = {p: m for p, m in model.named_modules() if isinstance(m, BATCHNORMS) and m.running_mean is not None}
    if layerwise and isinstance(data, Iterator):
        raise TaskError(
            f"layerwise goes through the data once for each norm; a {type(data).__name__} gives them once alone: "
            f"use recalibrate(model, list(batches), layerwise=True)."
        )
    batches = _batches(data, batch_size, examples)
    shifts: dict[str, float] = {}
    count = 0
    rounds = [norms] if norms else []
    if layerwise:
        rounds = [{path: norms[path]} for path in _in_order(model, norms, batches)]
    for chosen in rounds:
        found, count = _measured(model, chosen, batches, as_batches=not layerwise)
        for path, moments in found.items():
            shifts[path] = _write(chosen[path], moments)
    return Recalibrated(tuple(shifts.items()), count)


def _measured(
    model: nn.Module, norms: dict[str, BATCHNORMS], batches: Callable[[], Iterator[Tensor]], *, as_batches: bool
) -> tuple[dict[str, Moments], int]:
    """Moments of the inputs of norms over one pass, and the number of examples."""
    found = {path: Moments() for path in norms}
    count = 0
    mode = on_batches(model) if as_batches else as_in_evaluation(model)
    with mode, torch.no_grad(), watched(norms, lambda path, x: found[path].add(x)):
        for x in batches():
            _pass(model, x)
            count += len(tensors(x)[0])
    if not count:
        raise TaskError("recalibration averages over training data; there were none: give recalibrate(model, x_train).")
    return {path: moments for path, moments in found.items() if moments.count}, count


def _pass(model: nn.Module, x: Any) -> None:
    try:
        model(x)
    except ValueError as error:
        if "more than 1 value" not in str(error):
            raise
        raise TaskError(
            f"batch statistics need two values in a channel; {first_line(error)}: use batch_size=256."
        ) from error
    except TypeError as error:
        raise TaskError(
            f"a network takes its mini-batches as they are, of (x, y) the x; it stops with '{first_line(error)}': "
            f"give them in the form in which its forward takes them, as its only argument."
        ) from error


def _in_order(model: nn.Module, norms: dict[str, BATCHNORMS], batches: Callable[[], Iterator[Tensor]]) -> list[str]:
    """The paths of norms, in the order in which they run."""
    ran: list[str] = []
    with as_in_evaluation(model), torch.no_grad(), watched(norms, lambda path, _: ran.append(path)):
        for x in itertools.islice(batches(), 1):
            _pass(model, x)
    return list(dict.fromkeys(ran))


def _write(norm: BATCHNORMS, moments: Moments) -> float:
    """Write new running statistics; returns how far the old mean was off, in standard deviations."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert moments.mean is not None
    variance = moments.variance()
    shift = (exact(norm.running_mean) - moments.mean).abs() / (variance + norm.eps).sqrt()
    norm.running_mean.copy_(moments.mean)
    norm.running_var.copy_(variance)
    return float(shift.max())


def _batches(data: Any, batch_size: int, examples: int | None) -> Callable[[], Iterator[Tensor]]:
    """A function that begins a new pass over mini-batches of inputs; a short last one joins the one before."""

    given = not isinstance(getattr(data, "problem", data), Problem)  # else a task's, which are known to be finite
    for name, value in (("batch_size", batch_size), *([("examples", examples)] if examples is not None else [])):
        if not is_whole(value, 1):
            raise TaskError(f"{name} is counted from 1; {name}={value!r}: leave it out, or use {name}=256.")

    def begin() -> Iterator[Tensor]:
        left = examples
        for batch in _cut(data, batch_size, examples):
            x = taken(batch[0] if isinstance(batch, tuple | list) else batch)
            if not tensors(x):
                raise TaskError(
                    f"mini-batches are tensors, or (x, y); got a {type(x).__name__}: use recalibrate(model, x_train)."
                )
            if left is not None:
                x = tree_map_only(Tensor, itemgetter(slice(left)), x)
                left -= len(tensors(x)[0])
            for part in tensors(x) if given else ():
                check_finite("inputs", part)
            if len(tensors(x)[0]):
                yield x
            if left == 0:
                return

    return begin


def _cut(data: Any, batch_size: int, examples: int | None) -> Iterable[Any]:
    data = getattr(data, "problem", data)  # of a Task
    if isinstance(data, Problem):
        rows = mixed(len(data.train), examples)
        return data.train.batches(rows, equal_edges(len(rows), batch_size))
    pair = [taken(part) for part in data] if isinstance(data, tuple | list) and len(data) == 2 else []
    if pair and all(isinstance(part, Tensor) for part in pair) and not (isinstance(data, list) and _alike(*pair)):
        data = pair[0]
    data = taken(data)
    if isinstance(data, Tensor):
        rows = mixed(len(data), examples).to(data.device)
        return (data[rows[a:b]] for a, b in equal_edges(len(rows), batch_size))
    if not isinstance(data, Iterable):
        raise TaskError(
            f"data are a Task, an array or a tensor, (X, y) or mini-batches; got a {type(data).__name__}: "
            f"use recalibrate(model, x_train)."
        )
    return data


def _alike(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of a list are two mini-batches of inputs, rather than inputs and targets."""
    return a.dim() > 1 and a.shape[1:] == b.shape[1:] and a.dtype == b.dtype


def mixed(count: int, examples: int | None) -> Tensor:
    """Numbers of so many of `count` examples, evenly chosen; all for None.

    They are in an order of their own: where data are sorted by class, mini-batches of one class would be normalised
    by statistics that no mini-batch of training has.
    """
    rows = evenly(count, examples)
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


def equal_edges(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Cuts into mini-batches as nearly equal as can be, so that none is small."""
    pieces = max(1, round(count / batch_size))
    bounds = [round(i * count / pieces) for i in range(pieces + 1)]
    return list(itertools.pairwise(bounds))
