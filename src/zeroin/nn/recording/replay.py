"""Running a recorded step again in memory that was allocated once: the same kernels on the same numbers.

In eager mode every operation of a stack's step gets fresh memory, a few hundred kilobytes that the system provides page
by page and that is not in any cache. For a network 64 wide, this takes more than half of the step. Here a result reuses
the memory of one that is no longer needed, so that all of them stay in the processor's cache. Views are made only once,
and gradients are written where the optimizer reads them.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from zeroin.nn.recording.lifetimes import COLUMNS, Lifetimes, Origin, changes, is_known, is_view, written_into

Call: TypeAlias = Callable[[], object]
Key: TypeAlias = tuple[int, torch.dtype, torch.device]  # of memory: how many numbers of which type, and where
Step: TypeAlias = Callable[[], Sequence[Tensor]]
aten = torch.ops.aten
PRODUCTS = (aten.bmm.default, aten.baddbmm.default)
# Operations that are called as functions of torch, which costs half as much as through torch.ops.
QUICK = frozenset({
    "_log_softmax", "add", "addcmul", "addmm", "amax", "baddbmm", "bitwise_and", "bitwise_right_shift", "bitwise_xor",
    "bmm", "clamp_min", "div", "eq", "exp", "ge", "gather", "log", "mean", "mm", "mul", "neg", "reciprocal",
    "scatter_add", "sigmoid", "sqrt", "stack", "sub", "sum", "tanh", "where",
})  # fmt: skip
SCALED = ("add", "bitwise_and", "bitwise_right_shift", "mul")  # by a number


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """The shape, strides, type and device of a result."""

    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


class Recorded:
    """The operations of a step, in order, and memory for their results.

    Args:
        root: holds the constants.
        graph: the operations. Its arguments are tensors and dictionaries of tensors; each node that is a tensor has its
            `TensorSpec` as `meta["layout"]`.
    """

    def __init__(self, root: nn.Module, graph: Graph) -> None:
        self.root, self.graph = root, graph
        self.known = all(is_known(node) for node in graph.nodes)
        self.room: dict[Key, list[Tensor]] = {}
        if self.known:
            self.lifetimes = Lifetimes(list(graph.nodes))

    def bind(self, given: Sequence[Any]) -> Step:
        """The step on these particular tensors; its results are valid until any step of this recording runs again."""
        if not self.known:
            return partial(GraphModule(self.root, self.graph), *given)
        return _Binding(self, given).bound()


class _Binding:
    """Goes through a graph once: makes the views, assigns memory to results, turns the rest into a list of calls."""

    def __init__(self, recorded: Recorded, inputs: Sequence[Any]) -> None:
        self.root, self.lifetimes, self.room = recorded.root, recorded.lifetimes, recorded.room
        self.inputs = inputs
        self.free = {size: list(places) for size, places in self.room.items()}
        self.values: dict[Node, Any] = {}
        self.places: dict[Node, Tensor] = {}  # set aside within a larger result, or that result's own
        self.held: dict[Node, list[Tensor]] = {}
        self.calls: list[Call] = []
        self.joined: dict[Node, list[tuple[Node, Tensor]]] = {}
        for node, origin in zip(self.lifetimes.nodes, self.lifetimes.origins, strict=True):
            if origin is Origin.JOINED:
                self._join(node)

    def bound(self) -> Step:
        given = iter(self.inputs)
        for node, origin, ended in zip(self.lifetimes.nodes, self.lifetimes.origins, self.lifetimes.ended, strict=True):
            if origin is Origin.INPUT:
                self.values[node] = next(given)
            elif origin is Origin.ATTRIBUTE:
                self.values[node] = getattr(self.root, str(node.target))
            elif origin is Origin.OUTPUT:
                return partial(_run, self.calls, self._of(node.args)[0])
            else:
                self._take(node, origin)
            for owner in ended:
                for flat in self.held.pop(owner, ()):
                    self.free.setdefault((flat.numel(), flat.dtype, flat.device), []).append(flat)
        raise AssertionError("a graph has an output")

    def _take(self, node: Node, origin: Origin) -> None:
        args, kwargs = self._of(node.args), map_arg(node.kwargs, self.values.__getitem__)
        if origin is Origin.PART:
            self.values[node] = args[0][args[1]]
        elif origin is Origin.ONCE:
            self.values[node] = node.target(*args, **kwargs)  # type: ignore[operator]
        elif origin is Origin.CHANGED:
            self._call(node.target, args, kwargs)
            self.values[node] = args[0]
        elif origin is Origin.JOINED:
            self._fill(node)
        else:
            self.values[node] = self._computed(node, args, kwargs)

    def _computed(self, node: Node, args: Any, kwargs: Any) -> Any:
        """Assign memory to what an operation returns, and add the call that fills it."""
        target = node.target
        assert isinstance(target, OpOverload)
        out = self.lifetimes.into[node]
        if "layout" not in node.meta:  # several results, of which some may not be needed
            places = {user.args[1]: self._place(user) for user in node.users}
            if out is None or len(places) < len(out[1]):
                self.calls.append(partial(_copied, target, args, kwargs, places))
            else:
                self._call(out[0], args, kwargs | {name: places[i] for i, name in enumerate(out[1])})
            return places
        place = self._place(node)
        if target is aten.relu.default:
            target, args = aten.clamp_min.default, (args[0], 0)
            out = written_into(target)
        if target is aten.clone.default:
            self.calls.append(partial(place.copy_, args[0]))
        elif out is None:
            self.calls.append(partial(_copied, target, args, kwargs, {None: place}))
        else:
            self._call(out[0], args, kwargs | {out[1][0]: place})
        return place

    def _call(self, target: Any, args: Any, kwargs: Any) -> None:
        name = target.overloadpacket.__name__
        if name in SCALED and _is_number(args[1], args[0].dtype):
            args = args[0], torch.tensor(args[1], dtype=args[0].dtype)  # else made anew in each step
        if name in QUICK and target is not aten.sum.out:  # which `torch.sum` does not have
            self.calls.append(partial(getattr(torch, name), *args, **kwargs))
        elif name.endswith("_") and not name.startswith("__") and hasattr(Tensor, name):
            self.calls.append(partial(getattr(args[0], name), *args[1:], **kwargs))
        else:
            self.calls.append(partial(target._op, *args, **kwargs))

    # --- memory

    def _place(self, node: Node) -> Tensor:
        """Memory for a result: within a larger one, or that of one that is no longer needed, or new."""
        if node in self.places:
            return self.places[node]
        meta, owner = node.meta["layout"], self.lifetimes.owner[node]
        steps = zip(meta.shape, meta.stride, strict=True)
        count = 0 if 0 in meta.shape else sum((n - 1) * step for n, step in steps) + 1
        key = -(-count // 64) * 64, meta.dtype, meta.device
        waiting = self.free.get(key)
        if waiting:
            flat = waiting.pop()
        else:
            flat = torch.empty(key[0], dtype=meta.dtype, device=meta.device)
            self.room.setdefault(key, []).append(flat)
        self.held.setdefault(owner, []).append(flat)
        return flat.as_strided(meta.shape, meta.stride)

    def _join(self, node: Node) -> None:
        """Assign memory to a concatenation, and within it to each part that can be computed in place."""
        parts: Any = node.args[0]
        axis: Any = node.args[1] if len(node.args) > 1 else 0
        whole = self._place(node)
        places = torch.split(whole, [part.meta["layout"].shape[axis] for part in parts], axis)
        self.joined[node] = list(zip(parts, places, strict=True))
        self.places[node] = whole
        for part, place in self.joined[node]:
            views: list[Node] = []
            source: Any = part
            while is_view(source) and len(source.users) == 1 and source.target is not operator.getitem:
                views.append(source)
                source = source.args[0]
            fresh = isinstance(source.target, OpOverload) and not (changes(source) or is_view(source))
            if fresh and len(source.users) == 1 and source not in self.lifetimes.constant | self.places.keys():
                inner = _before(views, place, source.meta["layout"].shape)
                if inner is not None and (inner.is_contiguous() or not _feels_its_place(source)):
                    self.places[source] = inner

    def _fill(self, node: Node) -> None:
        """Copy those parts of a concatenation that were computed elsewhere."""
        for part, place in self.joined[node]:
            value = self.values[part]
            if value.data_ptr() != place.data_ptr() or value.stride() != place.stride():
                self.calls.append(partial(place.copy_, value))
        self.values[node] = self.places[node]

    def _of(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        values = self.values
        return tuple(
            values[a] if isinstance(a, Node) else map_arg(a, values.__getitem__) if isinstance(a, list | tuple) else a
            for a in args
        )


def _run(calls: Sequence[Call], results: Sequence[Tensor]) -> Sequence[Tensor]:
    for call in calls:
        call()
    return results


def _copied(target: OpOverload, args: Any, kwargs: Any, places: Mapping[Any, Tensor]) -> None:
    """Call an operation that has no `out=` variant, and copy its results."""
    result = target(*args, **kwargs)
    for index, place in places.items():
        place.copy_(result if index is None else result[index])


def _before(views: Sequence[Node], place: Tensor, shape: torch.Size) -> Tensor | None:
    """A tensor of this shape that becomes `place` by these views (the last one first), if there is one."""
    try:
        seen = inner = place.view(shape)
    except RuntimeError:
        return None
    for node in reversed(views):
        seen = node.target(seen, *node.args[1:], **node.kwargs)  # type: ignore[operator]
    same = seen.data_ptr() == place.data_ptr() and seen.shape == place.shape and seen.stride() == place.stride()
    return inner if same else None


def _is_number(value: object, dtype: torch.dtype) -> bool:
    """Whether a value is a number that a tensor of this type keeps its type with."""
    return isinstance(value, int if dtype == torch.int64 else int | float) and (
        dtype.is_floating_point or dtype == torch.int64
    )


def _feels_its_place(node: Node) -> bool:
    """Whether an operation gives another result, or is slower, if its output is not contiguous.

    A batched product is a single call of MKL only if it is; sums of columns are otherwise computed row by row.
    """
    if node.target in PRODUCTS:
        return True
    summed: Any = node.args[0] if node.target in COLUMNS else None
    return summed is not None and _is_interleaved(summed.meta["layout"], node.args[1])


def _is_interleaved(place: TensorSpec, axes: Any) -> bool:
    """Whether a reduction goes over the outermost axis in memory but not the innermost, so that rows share vectors."""
    order = sorted((step, i) for i, (step, size) in enumerate(zip(place.stride, place.shape, strict=True)) if size > 1)
    reduced = {axis % len(place.shape) for axis in axes or range(len(place.shape))}
    return bool(order) and order[-1][1] in reduced and order[0][1] not in reduced
