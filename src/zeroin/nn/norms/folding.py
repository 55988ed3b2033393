"""Folding: batch normalisation is merged into the layer before it, for inference."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeroin.nn.layers import BATCHNORMS, LAYERS
from zeroin.nn.modes import switched
from zeroin.nn.norms.batchnorm import Change
from zeroin.nn.norms.candidates import are_computed, channels_of
from zeroin.nn.norms.surgery import check_calls_the_same, copied, seen, take_out
from zeroin.nn.norms.trace import Example, Node, Trace, arguments_of, tensors
from zeroin.nn.precision import exact
from zeroin.nn.randomness import seeded

REPEATS = 30  # pairs of passes that are timed
PASSING = (nn.Identity, nn.Dropout, nn.Flatten)  # they keep every channel as it is


@dataclass(frozen=True, slots=True)
class Folded:
    """What folding did; `str` puts it into words.

    Args:
        changes: one for each batch norm.
        difference: the largest difference between outputs before and after, on the example, relative to the largest
            number in each.
        before, after: seconds of a forward pass on the example, the median of several.
    """

    changes: tuple[Change, ...]
    difference: float
    before: float
    after: float

    @property
    def speedup(self) -> float:
        """How many times as fast the folded network is."""
        return self.before / self.after

    def __str__(self) -> str:
        words = [f"{c.layer}: {c.done or 'left alone'} ({c.why})" for c in self.changes] or ["no batch norm to fold"]
        words += [
            f"outputs differ by {self.difference:.1e}",
            f"{1e3 * self.before:.3g} -> {1e3 * self.after:.3g} ms a pass, {self.speedup:.2f} times as fast",
        ]
        return "\n".join(words)


def fold(model: nn.Module, example: Example | None = None) -> tuple[nn.Module, Folded]:
    """Merge each batch norm into the layer before it: W' = W γ/√(σ²+ε), b' = (b − μ) γ/√(σ²+ε) + β.

    Args:
        model: a trained network; it is not changed.
        example: a mini-batch of its inputs, to see the order of the layers and measure the time; None: it is guessed.

    Returns:
        The network for inference, in evaluation mode, with the same outputs; and a report of what was done and gained.
        A batch norm that does not directly follow a layer of its own, or has no running statistics, is left alone.

    Raises:
        TaskError: as for `insert_batchnorm`.

    >>> net = nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    >>> print(fold(net)[0])
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): Identity()
      (2): ReLU()
      (3): Linear(in_features=8, out_features=2, bias=True)
    )

    Source: Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 2, step 11: at test time a norm is a linear map.
    """
    result = switched(copied(model), False)
    trace, example, _ = seen(result, example)
    with torch.no_grad(), seeded(0):
        undefined = [t.isnan() for t in _outputs(result, example)]
    changes = []
    for path, norm in [(p, m) for p, m in result.named_modules() if isinstance(m, BATCHNORMS)]:
        node = _layer_of(trace, norm)
        for name, module in ((node.name, node.module), (path, norm)) if isinstance(node, Node) else ():
            if module and _read_elsewhere(result, module, example, undefined):
                node = f"the weights of {name} are read elsewhere, too"
        if isinstance(node, str):
            changes.append(Change(path, "", node))
            continue
        _merge(node, norm)
        take_out(result, path)
        changes.append(Change(path, f"merged into {node.name}", f"{norm.num_features} channels"))
    check_calls_the_same(result, example, trace)
    before, after, difference = _compared(switched(copied(model), False), result, example)
    return result, Folded(tuple(changes), difference, before, after)


def _layer_of(trace: Trace, norm: nn.modules.batchnorm._BatchNorm) -> Node | str:
    """The call of the layer that a batch norm can be merged into, or the reason why there is none."""
    calls = trace.calls(norm)
    if norm.running_mean is None:
        return "it has no running statistics: recalibrate cannot help; track_running_stats=True"
    if not calls:
        return "it is never called, or has a forward of its own"
    if len(calls) > 1:
        return f"it is used {len(calls)} times in a pass"
    source: tuple[int, ...] = calls[0].sources
    while True:
        if len(source) != 1 or source[0] < 0:
            return "it follows no layer"
        node = trace.nodes[source[0]]
        if len(trace.users(node)) > 1 or node.index in trace.outputs:
            return f"what {node.name} gives is used elsewhere too"
        if isinstance(node.module, LAYERS):
            break
        if not isinstance(node.module, PASSING) and (node.module is not None or node.name != "flatten"):
            return f"it follows {node.name}, which is no layer"
        source = node.sources
    if len(trace.calls(node.module)) > 1:
        return f"{node.name} is used more than once in a pass"
    if are_computed(node.module):
        return f"the weights of {node.name} are computed from others (weight_norm, spectral_norm, ...)"
    if node.module._forward_hooks or norm._forward_hooks or norm._forward_pre_hooks:
        return f"hooks at it or at {node.name} may change what is computed"
    if channels_of(node.module) != norm.num_features:
        return f"{node.name} gives {channels_of(node.module)} channels, it normalises {norm.num_features}"
    axes = calls[0].before
    if len(axes) > 2 if isinstance(node.module, nn.Linear) else axes[:2] != node.shape[:2]:
        return f"it normalises another axis than the channels of {node.name}"
    return node


@torch.no_grad()
def _read_elsewhere(model: nn.Module, layer: nn.Module, example: Example, undefined: Sequence[Tensor]) -> bool:
    """Whether outputs need the weights of a layer beside its own call: everywhere else they are made NaN.

    Args:
        model, layer: the network, and its layer.
        example: its inputs.
        undefined: where its outputs are NaN without that.
    """
    sound = dict(layer.named_parameters(recurse=False))
    spoiled = {name: nn.Parameter(torch.full_like(p, math.nan)) for name, p in sound.items()}
    layer._parameters.update(spoiled)
    try:
        with (
            layer.register_forward_pre_hook(lambda *_: layer._parameters.update(sound)),
            layer.register_forward_hook(lambda *_: layer._parameters.update(spoiled), always_call=True),
            seeded(0),  # the same draws, if it draws
        ):
            found = _outputs(model, example)
    finally:
        layer._parameters.update(sound)
    return any(bool((t.isnan() & ~before).any()) for t, before in zip(found, undefined, strict=True))


def _outputs(model: nn.Module, example: Example) -> list[Tensor]:
    return tensors(model(*arguments_of(example)))


def _merge(node: Node, norm: nn.modules.batchnorm._BatchNorm) -> None:
    """Merge the scale and shift of a norm into the weight and bias of a layer, in float64."""
    layer = node.module
    assert isinstance(layer, LAYERS)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight = exact(layer.weight.detach())
    scale = (exact(norm.running_var) + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * exact(norm.weight.detach())
    bias = torch.zeros_like(scale) if layer.bias is None else exact(layer.bias.detach())
    shift = (bias - exact(norm.running_mean)) * scale
    if norm.bias is not None:
        shift = shift + exact(norm.bias.detach())
    if getattr(layer, "transposed", False):  # [in, out / groups, ...]
        groups = int(layer.groups)  # type: ignore[arg-type]
        grouped = weight.reshape(groups, -1, *weight.shape[1:])
        folded = (grouped * scale.view(groups, 1, -1, *[1] * (weight.dim() - 2))).reshape(weight.shape)
    else:
        folded = weight * scale.view(-1, *[1] * (weight.dim() - 1))
    trains = layer.weight.requires_grad
    layer.bias = nn.Parameter(shift.to(layer.weight), requires_grad=trains)
    layer.weight = nn.Parameter(folded.to(layer.weight), requires_grad=trains)


@torch.no_grad()
def _compared(old: nn.Module, new: nn.Module, example: Example) -> tuple[float, float, float]:
    """The median seconds of a forward pass of each network, timed in turns, and how far apart the outputs are."""
    times: tuple[list[float], list[float]] = ([], [])
    results: list[list[Tensor]] = [[], []]
    for _ in range(REPEATS):
        for i, model in enumerate((old, new)):
            with seeded(0):
                began = time.perf_counter()
                results[i] = _outputs(model, example)
                times[i].append(time.perf_counter() - began)
    apart = max(map(_apart, *results), default=0.0)
    return statistics.median(times[0]), statistics.median(times[1]), apart


def _apart(a: Tensor, b: Tensor) -> float:
    """The largest difference between two outputs, relative to the largest finite number."""
    if not a.numel():
        return 0.0
    a, b = exact(a), exact(b)
    same = (a == b) | (a.isnan() & b.isnan())  # as where both are infinite
    return float((a - b).abs().masked_fill(same, 0.0).max()) / (float(a.abs().nan_to_num(0.0, 0.0).max()) or 1.0)
